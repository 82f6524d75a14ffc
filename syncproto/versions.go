package syncproto

import "encoding/json"

// Speaks reports whether a device that opened with a hello understands what this version says.
func (h *Hello) Speaks() bool {
	return h.Versions[0] <= ProtocolVersion && h.Versions[1] >= ProtocolVersion
}

// FromLater reports whether a group was captured by an app that knows a later version of the protocol, or of the catalog,
// than this side. What it holds may be right although it cannot be read or judged here. It looks at nothing but the members
// v and catalog, since a later group may have another form.
func FromLater(group []byte, catalog int) bool {
	var g struct {
		V       int64 `json:"v"`
		Catalog int64 `json:"catalog"`
	}
	return json.Unmarshal(group, &g) == nil && (g.V > ProtocolVersion || g.Catalog > int64(catalog))
}
