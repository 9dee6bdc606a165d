"""What protoc generates from uptane/rpc/*.proto; do not edit: `python -m uptane.rpc.generate`."""
