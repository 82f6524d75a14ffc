// Package blobs serves photos and other evidence over HTTP: resumable uploads by tus 1.0 (https://tus.io/protocols/resumable-upload) with the
// extensions creation, creation-with-upload, checksum, expiration and termination, and downloads by content.
//
//	OPTIONS /blobs/v1                what this server speaks
//	POST    /blobs/v1                begin an upload: Upload-Length, Upload-Metadata with `sha256` (hex, required), `filename`, `filetype`, `device`
//	HEAD    /blobs/v1/uploads/<id>   how many bytes are durable
//	PATCH   /blobs/v1/uploads/<id>   add bytes at that offset
//	DELETE  /blobs/v1/uploads/<id>   give up
//	GET     /blobs/v1/<sha256>       a blob, also in ranges; HEAD says whether it exists and how long it is
//
// What a phone on a bad network may rely on: bytes that reached the server before a connection broke are kept, encrypted on disk, and HEAD
// reports them, also after a restart of the server. An upload becomes a blob only when all its bytes have the declared SHA-256. A new request
// for an upload takes over from one that hangs on a dead connection (see turns). A POST that repeats one whose answer was lost finds the
// same upload again.
//
// # Why not tusd
//
// tusd's pkg/handler was tried for this place and does not fit. It answers a PATCH or HEAD of a complete upload without calling
// FinishUpload again, so an upload whose process died between the last byte and the hash check would count as delivered and never become
// a blob. It has neither checksum nor expiration, and its data stores cannot take back a chunk that fails its checksum. It needs
// http.ResponseController deadlines and contexts that outlive the request by seconds, which fasthttp's recycled requests do not allow. Its
// errors are plain text. What is left of the protocol without these is smaller than the adaptor around them would be.
//
// # Why the body is read natively
//
// fiber's net/http adaptor buffers whole bodies, so a killed upload would keep nothing. The handlers here read fasthttp's body stream. It
// has three habits that this package deals with: it waits for the first 8 KiB of a body before it calls a handler (Mount lowers that to one
// byte for uploads), it reports a connection cut within a body of known length as a clean end (body counts), and it takes what a handler
// left unread for the next request (body.release).
package blobs
