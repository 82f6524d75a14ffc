package sqlite

// FeedSQL lets a test ask SQLite how it would run the feed.
const FeedSQL = feedSQL

// TombstoneSQL lets a test ask how it would look for tombstones.
const TombstoneSQL = tombstoneSQL

// KindOfRootSQL lets a test ask SQLite how it finds the records of one kind under a root.
const KindOfRootSQL = kindOfRootSQL

// FindSQL lets a test ask SQLite how it would run a list.
var FindSQL = findSQL
