package syncproto

// Bounds of version 1. Both sides check them before they allocate. Sizes are bytes of the decompressed form.
const (
	MaxGroupBytes   = 256 << 10 // one group's canonical JSON
	MaxGroupChanges = 64
	MaxPushBytes    = 8 << 20 // one request, all frames together
	MaxPushGroups   = 1000
	MaxFrameBytes   = 1 << 20 // one frame's payload
	MaxPageBytes    = 8 << 20 // one response's rows; the rest follows in the next exchange
	PageBytes       = 2 << 20 // the same where the device does not say; what a cut connection costs stays small
	MaxNameLen      = 64      // a field, kind, act or code name
	MaxIDLen        = 64      // a record, device, user or incarnation id
	MaxBucketLen    = 96
	MaxDepth        = 16 // nesting of arrays and objects inside one value
	MaxInt          = 1<<53 - 1
	MaxCursors      = 512  // buckets in one request
	MaxWitnesses    = 2000 // witness frames in one request
	MaxLacks        = 8    // keys that one hello asks for
	MaxReceipts     = 64   // old receipts in one request
	MaxReceiptBytes = 256 << 10
	SnapshotRows    = 5000    // buckets with more live rows may be served as snapshots
	ChunkBytes      = 1 << 20 // a chunk of a snapshot ends with the row that reaches this
	MaxChunkBytes   = ChunkBytes + MaxFrameBytes + 5
	MaxChunks       = 8192 // in one snapshot
	RepairRows      = 1000 // buckets below this are refetched whole instead of by leaf
	TombstoneDays   = 400
	MissingBaseDays = 14       // a base not seen for so long is judged as concurrent
	LateGrantDays   = 30       // clean work under a revoked grant is still taken for so long
	MaxReplyBytes   = 64 << 20 // one response in a bundle, all frames together
	MaxPhotoBytes   = 64 << 20 // one photo in a bundle
	MaxBundleKept   = 10_000   // photos in one frame that says which were kept
	MaxMIMELen      = 128      // of a photo's media type
	RetentionDays   = 60       // a device keeps acknowledged changes so long without word of a backup
)
