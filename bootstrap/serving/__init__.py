"""What the local servers of `flows` and `review_app` share: their guard, the login of a workspace's own server, HTTP."""
