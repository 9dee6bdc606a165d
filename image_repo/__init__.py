"""The Image repository: holds images, and the offline-signed word on them."""
