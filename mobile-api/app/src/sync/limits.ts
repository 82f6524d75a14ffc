// Bounds of version 1 (PROTOCOL.md). They are checked before memory is taken. Sizes are bytes of the decompressed form.

export const maxGroupBytes = 256 << 10;
export const maxGroupChanges = 64;
export const maxPushBytes = 8 << 20;
export const maxPushGroups = 1000;
export const maxFrameBytes = 1 << 20;
export const maxNameLength = 64;
export const maxIdLength = 64;
export const maxBucketLength = 96;
export const maxDepth = 16;
export const maxInt = Number.MAX_SAFE_INTEGER; // 2^53−1
export const maxDseq = maxInt - (1 << 16); // so that the stamps of all changes of a group stay exact
export const maxWitnesses = 2000; // in one request
export const retentionMs = 60 * 24 * 3600 * 1000; // acknowledged groups are kept so long without word of a backup
/** roomToReissue is what a group leaves free, so that it can name its origin under another identity. */
export const roomToReissue = 512;
