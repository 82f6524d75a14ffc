package syncproto_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	sp "aidloop/syncproto"
)

// schemaHash is the wire of version 1. It changes only together with a decision: see the message below.
const schemaHash = "f9adfeaf4433089cbb5a3e31589e88d32d5b040ae1038d282e70f23660d47138"

func TestSchemaIsFrozen(t *testing.T) {
	if got := sp.SchemaHash().String(); got != schemaHash {
		t.Errorf(`the wire has changed: its description hashes to %s.
If an old device and a new server (or the other way round) still understand each other, because something was only
added, say so in PROTOCOL.md under "Versions" and write the new hash here. If they do not, undo the change or raise
ProtocolVersion, keep serving the old version, and cut vectors for the new one. Now it is:
%s`, got, sp.Schema())
	}
}

// PROTOCOL.md must name every frame and every code, or a stranger could not write a client from it.
func TestProtocolNamesEverything(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, c := range sp.Codes() {
		if !strings.Contains(text, "`"+string(c)+"`") {
			t.Errorf("PROTOCOL.md does not explain the code %q", c)
		}
	}
	schema, err := sp.ParseObject(sp.Schema())
	if err != nil {
		t.Fatal(err)
	}
	v, err := schema.Get("frames").Decode()
	if err != nil {
		t.Fatal(err)
	}
	frames, _ := v.([]any)
	if len(frames) != 23 {
		t.Errorf("%d frames", len(frames))
	}
	for _, f := range frames {
		if letter := f.([]any)[0].(string); !strings.Contains(text, "`"+letter+"`") {
			t.Errorf("PROTOCOL.md does not explain the frame %q", letter)
		}
	}
}
