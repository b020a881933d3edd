"""What a study meant: statistics over seeds, the result, tables, figures and the report.

Everything here is a pure function of plain data (trials, the resolved specification, the manifest);
nothing opens the record.
"""
