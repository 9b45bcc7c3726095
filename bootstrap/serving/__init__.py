"""What `flows` and `review_app` share: the guard of their servers, the login of a workspace's own, HTTP, schedules."""
