package sqlite

// FeedSQL lets a test ask SQLite how it would run the feed.
const FeedSQL = feedSQL
