"""Loggers: a study's trials, as they end, in TensorBoard, Weights & Biases or MLflow. Only where an experiment asks for it."""
