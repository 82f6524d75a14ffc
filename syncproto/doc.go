// Package syncproto is version 1 of the Aidloop sync protocol as pure functions: canonical JSON, records and
// their stamps, changes and groups, merge, digests, cursors, chains, sealed values, frames, limits and codes.
// PROTOCOL.md beside this file says the same in prose and is enough to write a client in another language.
//
// Nothing here reads a clock, a socket, a database or the domain; the caller passes times, keys and policies in.
//
//	frames.go     the bytes on the wire            messages.go  the control messages inside frames
//	canonical.go  the one way to write JSON        change.go    groups of changes, as a device freezes them
//	record.go     envelopes and rows               merge.go     what a change does to a record
//	digest.go     what two sides compare           chain.go     what a device signs
//	seal.go       values only some may read        clock.go     the time a change is taken to have
//	codes.go      every code and its words         limits.go    every bound
package syncproto
