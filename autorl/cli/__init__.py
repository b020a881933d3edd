"""The command line: thin, one file for each verb. Importing it imports nothing heavy; each verb imports what it needs."""
