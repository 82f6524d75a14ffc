package bundle_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"

	sp "aidloop/syncproto"
	"aidloop/syncproto/bundle"
)

var update = flag.Bool("update", false, "write the golden vectors anew; a file is encrypted anew, the rest must not change")

// vectors are what a client in another language checks itself against.
type vectors struct {
	Devices []deviceVector `json:"devices"`
	Head    string         `json:"head"`
	Sig     string         `json:"sig"`    // of the head, by the first device; hex
	Frames  string         `json:"frames"` // a push with one request and two photos; hex
	File    string         `json:"file"`   // the same as an .aidsync file for the first device; base64
}

type deviceVector struct {
	Seed      string `json:"seed"`
	Public    string `json:"public"`
	Recipient string `json:"recipient"`
	Identity  string `json:"identity"`
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func key(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }

const request = `{"versions":[1,1],"device":"d-1","catalog":1,"wall":1764000000000,"mono":0,"boot":""}`

func frames() []byte {
	var b bytes.Buffer
	head := sp.BundleHead{Kind: sp.BundlePush, Device: "d-1", Created: 1764000000000}
	w := must(sp.NewBundleWriter(&b, sp.SignBundle(key(5), &head)))
	msg := sp.AppendFrame(sp.AppendFrame(nil, sp.FrameHello, []byte(request)), sp.FrameEnd, []byte(`{"frames":1}`))
	for _, err := range []error{w.Message(msg), w.Photo(sp.BundlePhoto{SHA256: sp.GroupHash([]byte("photo")).String(), Size: 5, MIME: "image/jpeg"}, []byte("photo")),
		w.Photo(sp.BundlePhoto{SHA256: sp.GroupHash(nil).String()}, nil), w.Close()} {
		if err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func seal(plain []byte, to *bundle.Recipient) []byte {
	var b bytes.Buffer
	w := must(bundle.Seal(&b, to))
	must(w.Write(plain))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const vectorFile = "testdata/v1.json"

func TestGoldenVectors(t *testing.T) {
	var v, want vectors
	for _, n := range []byte{5, 6, 0} {
		k := key(n)
		v.Devices = append(v.Devices, deviceVector{hex.EncodeToString(k.Seed()), hex.EncodeToString(k.Public().(ed25519.PublicKey)),
			must(bundle.DeviceRecipient(k.Public().(ed25519.PublicKey))).String(), bundle.DeviceIdentity(k).String()})
	}
	head := sp.BundleHead{Kind: sp.BundlePush, Device: "d-1", Created: 1764000000000}
	signed := sp.SignBundle(key(5), &head)
	v.Head, v.Sig, v.Frames = signed.Head, hex.EncodeToString(signed.Sig), hex.EncodeToString(frames())
	if *update {
		v.File = base64.StdEncoding.EncodeToString(seal(frames(), must(bundle.DeviceRecipient(key(5).Public().(ed25519.PublicKey)))))
		must(0, os.WriteFile(vectorFile, append(must(json.MarshalIndent(v, "", "  ")), '\n'), 0o644))
	}
	b, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(b, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.File = want.File
	if string(must(json.Marshal(v))) != string(must(json.Marshal(want))) {
		t.Error("bundles are not what version 1 says any more")
	}
	file := must(base64.StdEncoding.DecodeString(want.File))
	r, err := bundle.Open(bytes.NewReader(file), bundle.DeviceIdentity(key(5)))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, frames()) {
		t.Errorf("the file opens to %q, %v", plain, err)
	}
}

// A device's recipient, worked out from its public key, is that of its identity, worked out from the private one; and
// age itself agrees on how they are written.
func TestBothHalvesFit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		k := ed25519.NewKeyFromSeed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, "seed"))
		id := bundle.DeviceIdentity(k)
		to, err := bundle.DeviceRecipient(k.Public().(ed25519.PublicKey))
		if err != nil || to.String() != id.Recipient().String() {
			r.Fatalf("%s is not %s: %v", to, id.Recipient(), err)
		}
		if _, err := age.ParseX25519Identity(id.String()); err != nil {
			r.Fatal(err)
		}
		if again, err := bundle.ParseRecipient(to.String()); err != nil || again.String() != to.String() {
			r.Fatal(err)
		}
	})
	for _, s := range []string{"", "age1", "age1qqqq", "ssh-ed25519 AAAA"} {
		if _, err := bundle.ParseRecipient(s); err == nil {
			t.Errorf("%q is a recipient", s)
		}
	}
	if _, err := bundle.DeviceRecipient(bytes.Repeat([]byte{255}, 31)); err == nil {
		t.Error("31 bytes are a key")
	}
}

// A file is for one reader, and whoever reads it notices every cut and every changed byte.
func TestFilesAreWholeOrRefused(t *testing.T) {
	plain := bytes.Repeat([]byte("frames "), 30_000)
	file := seal(plain, must(bundle.DeviceRecipient(key(5).Public().(ed25519.PublicKey))))
	read := func(b []byte, k byte) ([]byte, error) {
		r, err := bundle.Open(bytes.NewReader(b), bundle.DeviceIdentity(key(k)))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	if got, err := read(file, 5); err != nil || !bytes.Equal(got, plain) {
		t.Fatal(err)
	}
	var refusal *sp.Error
	if _, err := read(file, 6); !errors.As(err, &refusal) || refusal.Code != sp.CodeForeignBundle {
		t.Errorf("another reader: %v", err)
	}
	for n := 0; n < len(file); n += 4093 {
		changed := bytes.Clone(file)
		changed[n] ^= 64
		for _, b := range [][]byte{file[:n], changed} {
			if got, err := read(b, 5); err == nil || len(got) > 0 && !bytes.HasPrefix(plain, got) {
				t.Fatalf("at %d: %d bytes, %v", n, len(got), err)
			}
		}
	}
	endless := io.MultiReader(bytes.NewReader([]byte("age-encryption.org/v1\n-> X25519 ")), forever{})
	if _, err := bundle.Open(endless, bundle.DeviceIdentity(key(5))); err == nil {
		t.Error("a head without an end was taken")
	}
}

type forever struct{}

func (forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}

func FuzzOpen(f *testing.F) {
	f.Add(seal(frames(), bundle.DeviceIdentity(key(5)).Recipient()))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := bundle.Open(bytes.NewReader(b), bundle.DeviceIdentity(key(5)))
		if err == nil {
			_, _ = io.Copy(io.Discard, r) // it must only not panic
		}
	})
}
