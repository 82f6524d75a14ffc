package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aidloop/fixtures/secrets"
	"aidloop/fixtures/seed"
	"aidloop/fixtures/story"
	"aidloop/fixtures/visits"
	"aidloop/fixtures/world"
	"aidloop/server/casework"
	"aidloop/server/cmd/aidloop/app"
	"aidloop/syncproto/device"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A phone that has no line any more gets its work to the server and its news back in files: by the commands beside the
// server's database, and over HTTP by somebody who has no account. Nothing readable is in the files.
func TestWorkTravelsInFiles(t *testing.T) {
	dir := t.TempDir()
	data, phone := filepath.Join(dir, "data"), phoneFlag{Phone: filepath.Join(dir, "phone")}
	w := world.New(1, world.Options{Households: 12, Now: time.Now()})
	cast := w.Cast()
	serve := func() *app.App {
		a, err := app.Open(t.Context(), app.Config{Addr: "127.0.0.1:0", Data: data})
		must(t, err)
		must(t, a.Listen())
		return a
	}
	a := serve()
	must(t, seed.Load(t.Context(), a.Loop, w, nil))
	code, err := a.Loop.NewEnrolCode(t.Context(), casework.System, cast.SurveyorOne.ID)
	must(t, err)
	must(t, (&enrollCmd{phoneFlag: phone, Server: a.URL, Name: "王", Code: code}).Run())
	must(t, a.Close())

	visit := func(n uint64) {
		must(t, phone.with(func(_ context.Context, p *story.Phone) error {
			_, err := p.Visit(rand.New(rand.NewPCG(n, 1)), visits.At(w, cast.Missed.Household, "", time.Now()))
			return err
		}))
	}
	status := func() (st device.Status, id device.Identity) {
		must(t, phone.with(func(_ context.Context, p *story.Phone) (err error) {
			id = p.Engine.Identity()
			st, err = p.Engine.Status(0)
			return err
		}))
		return st, id
	}
	settled := func() {
		t.Helper()
		st, _ := status()
		if st.OnlyHere > 0 || st.Photos > 0 || len(st.Held)+len(st.Rejected)+len(st.Incidents) > 0 || st.Trouble != "" {
			t.Errorf("it is not settled: %+v", st)
		}
	}

	visit(1)
	first := filepath.Join(dir, "first.aidsync")
	must(t, (&exportCmd{phoneFlag: phone, Photos: 64, File: first}).Run())
	visit(2)
	second := filepath.Join(dir, "second.aidsync")
	must(t, (&exportCmd{phoneFlag: phone, Photos: 0, File: second}).Run())
	flag := dataFlag{Data: data}
	must(t, (&inspectCmd{dataFlag: flag, File: []string{first, second}}).Run())
	must(t, (&bundleImportCmd{dataFlag: flag, ReplyDir: filepath.Join(dir, "replies"), File: []string{second, first, second}}).Run())
	st, id := status()
	if st.OnlyHere != 2 || st.Photos == 0 {
		t.Errorf("exporting changed the phone: %+v", st)
	}
	must(t, (&importReplyCmd{phoneFlag: phone, File: []string{filepath.Join(dir, "replies/second.reply.aidsync"), filepath.Join(dir, "replies/first.reply.aidsync")}}).Run())
	if st, _ = status(); st.OnlyHere != 0 {
		t.Errorf("%+v", st)
	}
	// The photos of the second visit were left behind; the next bundle goes over HTTP.
	a = serve()
	visit(3)
	third, reply := filepath.Join(dir, "third.aidsync"), filepath.Join(dir, "third.reply.aidsync")
	must(t, (&exportCmd{phoneFlag: phone, Photos: 64, File: third}).Run())
	must(t, (&bundleSendCmd{Server: a.URL, Reply: reply, File: third}).Run())
	if err := (&bundleSendCmd{Server: a.URL, Reply: filepath.Join(dir, "none"), File: reply}).Run(); err == nil {
		t.Error("a reply was taken for a bundle")
	}
	must(t, (&importReplyCmd{phoneFlag: phone, File: []string{reply}}).Run())
	settled()
	must(t, (&importReplyCmd{phoneFlag: phone, File: []string{filepath.Join(dir, "replies/first.reply.aidsync"), reply}}).Run())
	settled()
	if res, err := http.Get(a.URL + "/desk/v1/backlog"); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the backlog is open to all: %v", err)
	}
	must(t, a.Close())
	last := filepath.Join(dir, "last.reply.aidsync")
	must(t, (&bundleReplyCmd{dataFlag: flag, Device: id.Device, Out: last}).Run())
	must(t, (&importReplyCmd{phoneFlag: phone, File: []string{last}}).Run())
	settled()
	must(t, (&verifyCmd{Data: data}).Run())

	search, err := secrets.New(cast.Missed.Members[0].IDNo, cast.Missed.Household.Address)
	must(t, err)
	for _, path := range []string{first, second, third, reply, last} {
		b, err := os.ReadFile(path)
		must(t, err)
		if found := search.Bytes(path, b); len(found) > 0 {
			t.Error(found)
		}
	}
}
