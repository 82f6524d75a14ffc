package syncproto

// ProtocolVersion is the version that this package speaks. It changes only when an old and a new side could
// misunderstand each other; what may be added without that is said in PROTOCOL.md.
const ProtocolVersion = 1
