// Package mobileapi is the phones' HTTP API: enrolment, tokens, sync exchanges and live pokes. Photos go through
// mobile-api/blobs.
//
//	POST /enrol/v1            a one-time code becomes a device identity, a session and the first keys
//	POST /auth/v1/refresh     a refresh token becomes the next one, and an access token
//	POST /auth/v1/logout      ends the session of the access token
//	POST /sync/v1             one exchange: frames in, frames out (syncproto); the push needs no token
//	GET  /sync/v1/live        server-sent events: which buckets grew
//
// A handler reads its request within bounds, calls one verb of server/loop and writes the answer. Errors are said by
// server/problem.
package mobileapi
