package syncproto

import (
	"crypto/sha256"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Schema describes the wire of this version in canonical JSON: every frame with the members of its payload, the
// operations, statuses, policies, codes and bounds. Two builds with the same description read each other.
//
//	{"bounds":{…},"codes":[…],"frames":[["E",{"frames":"int",…}],…],"operations":[…],"policies":[…],"statuses":[…],"version":1}
func Schema() Raw {
	codes := make([]string, 0, len(words))
	for _, c := range Codes() {
		codes = append(codes, string(c))
	}
	slices.Sort(codes)
	var frames []any
	for _, t := range slices.Sorted(maps.Keys(payloads)) {
		frames = append(frames, []any{string(rune(t)), describe(reflect.TypeOf(payloads[t]))})
	}
	bounds := map[string]any{"bucket": MaxBucketLen, "cursors": MaxCursors, "witnesses": MaxWitnesses, "lacks": MaxLacks, "depth": MaxDepth, "frame_bytes": MaxFrameBytes,
		"group_bytes": MaxGroupBytes, "group_changes": MaxGroupChanges, "id": MaxIDLen, "int": MaxInt, "late_grant_days": LateGrantDays,
		"missing_base_days": MissingBaseDays, "name": MaxNameLen, "page_bytes": MaxPageBytes, "push_bytes": MaxPushBytes,
		"push_groups": MaxPushGroups, "receipt_bytes": MaxReceiptBytes, "receipts": MaxReceipts, "repair_rows": RepairRows, "retention_days": RetentionDays, "snapshot_rows": SnapshotRows,
		"chunk_bytes": MaxChunkBytes, "chunks": MaxChunks,
		"tombstone_days": TombstoneDays, "reply_bytes": MaxReplyBytes, "photo_bytes": MaxPhotoBytes, "kept": MaxBundleKept}
	return Fields(map[string]any{"version": ProtocolVersion, "frames": frames, "codes": strs(codes), "bounds": bounds,
		"operations": []any{string(OpPut), string(OpSet), string(OpAct), string(OpDelete)},
		"policies":   []any{string(PolicyLatest), string(PolicyReview), string(PolicyServer), string(PolicyOnce)},
		"statuses": []any{string(StatusApplied), string(StatusMerged), string(StatusConflict), string(GroupJudged), string(GroupHeld),
			string(GroupRejected)}}).Bytes()
}

// SchemaHash is the SHA-256 of Schema.
func SchemaHash() Hash { return sha256.Sum256(Schema()) }

// payloads are the JSON frames by their types; group and row frames carry bytes, see frames.go and exchange.go.
var payloads = map[FrameType]any{
	FrameHello: Hello{}, FrameSign: Sign{}, FrameWant: Want{}, FrameEnd: End{}, FrameHelloReply: HelloReply{}, FrameOutcomes: Outcomes{},
	FrameReceipt: SignedReceipt{}, FrameBucket: BucketStart{}, FrameSnapshot: Snapshot{}, FrameExit: Exit{}, FramePage: Page{}, FrameCheckpoint: Checkpoint{},
	FrameDrop: Drop{}, FrameFault: Fault{}, FrameGroup: []byte{}, FrameRow: []byte{}, FrameWitness: []byte{},
	FrameLost:   Lost{},
	FrameBundle: SignedBundle{}, FramePhoto: BundlePhoto{}, FrameData: []byte{}, FrameClose: BundleClose{}, FrameKept: BundleKept{},
}

// describe names the form of a Go type as JSON writes it.
func describe(t reflect.Type) any {
	switch t.Kind() {
	case reflect.Pointer:
		return describe(t.Elem())
	case reflect.Struct:
		m := map[string]any{}
		for i := range t.NumField() {
			name, opts, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if strings.Contains(opts, "omitempty") {
				name += "_optional"
			}
			m[name] = describe(t.Field(i).Type)
		}
		return m
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "base64"
		}
		return []any{describe(t.Elem())}
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	}
	return "int"
}

func strs(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
