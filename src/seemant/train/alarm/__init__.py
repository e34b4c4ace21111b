"""The behaviour alarm: says so when the loss falls while the model stops answering."""
