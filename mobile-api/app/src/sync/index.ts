// The sync core of the grid worker's web app: PROTOCOL.md as code. README.md says what the app brings.
//
//	canonical, ids, record, group, frames, messages   the codec       merge, overlay           what becomes of concurrent values
//	hash, chain, sign, digest, seal                   cryptography    store, engine, transport a device, and the seams to its app

export { canonicalize } from "./canonicalize.ts";
export { type Fields, type Raw, type Value, encode, fieldsOf, parseFields, stringOf, numberOf, valueOf } from "./canonical.ts";
export type { Draft } from "./capture.ts";
export { Engine, type Identity, type Options, enrol } from "./engine.ts";
export { CanonicalError, GroupError, Refusal, SealedError } from "./errors.ts";
export type { Change, Clock, Group, Op } from "./group.ts";
export { type Ref, parseRef, refText } from "./ids.ts";
export { type Policy, merge } from "./merge.ts";
export type { Entry, EntryState, State } from "./outbox.ts";
export { type Signer, seedSigner, webCryptoSigner } from "./sign.ts";
export { MemoryStore, type Reading, type Store, type Tx } from "./store.ts";
export { Problem, type Tokens, enrolAt, exchange, refresh, sync } from "./transport.ts";
export type { View } from "./view.ts";
