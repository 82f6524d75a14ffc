// Package app_test lets the web app's sync core, in Node, work against the real server and beside a phone with the
// reference engine. The core was written from PROTOCOL.md; this is the proof that the page is enough.
package app_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"aidloop/fixtures/forms"
	"aidloop/fixtures/seed"
	"aidloop/fixtures/visits"
	miluo "aidloop/fixtures/world"
	"aidloop/mobile-api/client"
	"aidloop/server/casework"
	"aidloop/server/cmd/aidloop/app"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// world is a server with a small county, a phone with the reference engine, and one with the web app's core.
type world struct {
	*testing.T
	app    *app.App
	miluo  *miluo.World
	worker miluo.User
	home   miluo.Household // of the worker's grid
	phone  *client.Client
	web    *web
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wall() int64 { return w.miluo.Now.UnixMilli() }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, miluo: miluo.New(3, miluo.Options{Households: 12})}
	var err error
	w.app, err = app.Open(t.Context(), app.Config{Addr: "127.0.0.1:0", Data: t.TempDir(), Clock: func() time.Time { return w.miluo.Now }})
	w.must(err)
	t.Cleanup(func() { w.must(w.app.Close()) })
	w.must(seed.Load(t.Context(), w.app.Loop, w.miluo, nil))
	w.must(w.app.Listen())
	for _, u := range w.miluo.Users {
		i := slices.IndexFunc(w.miluo.Households, func(h miluo.Household) bool { return h.Grid == u.Grid })
		if u.Grid != "" && i >= 0 {
			w.worker, w.home = u, w.miluo.Households[i]
			break
		}
	}
	clock := func() syncproto.Clock { return syncproto.Clock{Wall: w.wall(), Mono: w.wall(), Boot: "boot"} }
	w.phone, err = client.EnrolPhone(t.Context(), device.NewMemory(), &http.Client{}, w.app.URL, w.code(), "手机", device.Options{Random: rand.Reader, Catalog: 1}, clock)
	w.must(err)
	w.phone.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	w.syncPhone()
	w.web = startWeb(w)
	w.web.do(map[string]any{"do": "enrol", "server": w.app.URL, "code": w.code(), "wall": w.wall()})
	w.web.sync("")
	return w
}

func (w *world) code() string {
	w.Helper()
	code, err := w.app.Loop.NewEnrolCode(w.Context(), casework.System, w.worker.ID)
	w.must(err)
	return code
}

func (w *world) syncPhone() {
	w.Helper()
	_, err := w.phone.Sync(w.Context())
	w.must(err)
}

// web is the web app's core in a process of its own.
type web struct {
	w   *world
	in  io.WriteCloser
	out *bufio.Reader
}

func startWeb(w *world) *web {
	w.Helper()
	if _, err := os.Stat("node_modules/esbuild"); err != nil {
		w.Fatal("the web app's tools are not installed: run make web")
	}
	if b, err := exec.CommandContext(w.Context(), "node", "tools/bundle.mjs").CombinedOutput(); err != nil {
		w.Fatalf("bundling: %v\n%s", err, b)
	}
	cmd := exec.Command("node", "tools/phone.mjs") // it ends with its input
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	w.must(err)
	out, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	w.Cleanup(func() {
		w.must(in.Close())
		w.must(cmd.Wait())
	})
	return &web{w, in, bufio.NewReader(out)}
}

// ask gives the core a command and returns its answer, or the error that it ends with.
func (b *web) ask(command map[string]any, out any) string {
	b.w.Helper()
	line, err := json.Marshal(command)
	b.w.must(err)
	_, err = b.in.Write(append(line, '\n'))
	b.w.must(err)
	line, err = b.out.ReadBytes('\n')
	b.w.must(err)
	var a struct {
		OK    json.RawMessage `json:"ok"`
		Error string          `json:"error"`
	}
	b.w.must(json.Unmarshal(line, &a))
	if a.Error == "" && out != nil {
		b.w.must(json.Unmarshal(a.OK, out))
	}
	return a.Error
}

// do gives a command that must succeed.
func (b *web) do(command map[string]any) {
	b.w.Helper()
	if e := b.ask(command, nil); e != "" {
		b.w.Fatalf("%v: %s", command["do"], e)
	}
}

// sync exchanges until nothing is left; fault is the code that it must end with.
func (b *web) sync(fault string) {
	b.w.Helper()
	var got struct {
		Fault string `json:"fault"`
	}
	if e := b.ask(map[string]any{"do": "sync"}, &got); e != "" || got.Fault != fault {
		b.w.Fatalf("sync: fault %q, want %q: %s", got.Fault, fault, e)
	}
}

// draft is one thing that a person did, as the core takes it.
type draft struct {
	Op     string   `json:"op"`
	Ref    string   `json:"ref"`
	Fields string   `json:"fields,omitempty"` // canonical JSON
	Act    string   `json:"act,omitempty"`
	Bucket string   `json:"bucket,omitempty"`
	Seal   []string `json:"seal,omitempty"`
}

func fields(values map[string]any) string { return string(syncproto.Fields(values).Bytes()) }

func (b *web) capture(root string, drafts ...draft) {
	b.w.Helper()
	b.do(map[string]any{"do": "capture", "root": root, "drafts": drafts})
}

// webView is a record as the core shows it.
type webView struct {
	Body    string         `json:"body"`
	Bucket  string         `json:"bucket"`
	Pending bool           `json:"pending"`
	Fields  map[string]any `json:"fields"`
	Locked  []string       `json:"locked"`
}

func (b *web) view(ref string) *webView {
	b.w.Helper()
	var v *webView
	if e := b.ask(map[string]any{"do": "view", "ref": ref}, &v); e != "" {
		b.w.Fatal(e)
	}
	return v
}

// webStatus is what the core knows of itself.
type webStatus struct {
	State struct {
		Have    uint64 `json:"have"`
		Next    uint64 `json:"next"`
		Trouble string `json:"trouble"`
	} `json:"state"`
	Outbox []struct {
		Dseq   uint64 `json:"dseq"`
		State  string `json:"state"`
		Code   string `json:"code"`
		Reason string `json:"reason"`
	} `json:"outbox"`
	Buckets []struct {
		Bucket      string `json:"bucket"`
		Incarnation string `json:"incarnation"`
		Seq         uint64 `json:"seq"`
		Count       int64  `json:"count"`
		Digest      string `json:"digest"`
	} `json:"buckets"`
	Incidents []struct {
		Bucket string `json:"bucket"`
	} `json:"incidents"`
}

func (b *web) status() (s webStatus) {
	b.w.Helper()
	if e := b.ask(map[string]any{"do": "status"}, &s); e != "" {
		b.w.Fatal(e)
	}
	return s
}

// agree syncs both and insists that they hold the same buckets by their own counts, and that the server's books balance.
func (w *world) agree() {
	w.Helper()
	w.web.sync("")
	w.syncPhone()
	want, err := w.phone.Engine.Buckets()
	w.must(err)
	var got []device.Bucket
	for _, b := range w.web.status().Buckets {
		got = append(got, device.Bucket{Name: b.Bucket, Cursor: syncproto.Cursor{Incarnation: b.Incarnation, Seq: b.Seq}.String(), Count: b.Count, Digest: b.Digest})
	}
	if !slices.Equal(got, want) || len(got) < 3 {
		w.Errorf("the web app holds %+v, the phone %+v", got, want)
	}
	checked, err := w.app.Loop.Check(w.Context(), w.app.Blobs.Verify)
	w.must(err)
	if len(checked.Findings) > 0 {
		w.Errorf("the books do not balance: %+v", checked)
	}
}

// opened is a record of the phone in the open.
func (w *world) opened(ref syncproto.Ref) (*device.View, map[string]any) {
	w.Helper()
	v, err := w.phone.Engine.View(ref)
	w.must(err)
	if v == nil {
		w.Fatalf("%s is not on the phone", ref)
	}
	open, locked, err := w.phone.Engine.Open(v)
	w.must(err)
	if len(locked) > 0 {
		w.Errorf("%s: locked %v", ref, locked)
	}
	return v, open
}

func (w *world) homeRef() syncproto.Ref { return syncproto.Ref{Kind: "household", ID: w.home.ID} }

func TestTheWebAppAndAPhoneHoldTheSame(t *testing.T) {
	w := newWorld(t)
	w.agree()
	seen := w.web.view(w.homeRef().String())
	if seen == nil || seen.Fields["head_name"] != w.home.HeadName || len(seen.Locked) > 0 || seen.Bucket != "grid:"+w.home.Grid {
		t.Fatalf("the household of %s: %+v", w.home.HeadName, seen)
	}

	// A household captured in the browser, with a key of its own, opens on the phone.
	made := syncproto.Ref{Kind: "household", ID: "0192f0c0-0000-7000-8000-000000000077"}
	w.web.capture(made.String(), draft{Op: "put", Ref: made.String(), Bucket: "grid:" + w.home.Grid, Seal: []string{"head_name", "note"},
		Fields: fields(map[string]any{"code": "H-77", "head_name": "张三", "note": "门口有狗\u2028𠮷 \"引号\"", "members_count": 1})})
	if v := w.web.view(made.String()); !v.Pending || v.Bucket != "" || v.Fields["head_name"] != "张三" {
		t.Errorf("before the sync: %+v", v)
	}
	w.agree()
	if v := w.web.view(made.String()); v.Pending || v.Bucket != "grid:"+w.home.Grid || v.Fields["head_name"] != "张三" {
		t.Errorf("behind the sync: %+v", v)
	}
	if _, open := w.opened(made); open["head_name"] != "张三" || open["note"] != "门口有狗\u2028𠮷 \"引号\"" {
		t.Errorf("on the phone: %v", open)
	}
	for _, x := range w.web.status().Outbox {
		if x.State != "done" {
			t.Errorf("%+v", x)
		}
	}
}

// visit is a whole visit with its submission.
func (w *world) visit(id string) []draft {
	w.Helper()
	form := forms.MustForm(visits.FormID)
	at := visits.At(w.miluo, w.home, "", w.miluo.Now)
	at.Met = "seen"
	body, err := syncproto.FieldsOf(visits.Record(mathrand.New(mathrand.NewPCG(1, 2)), form, at))
	w.must(err)
	seal := []string{"note"}
	for _, q := range form.Questions {
		if q.Sealed {
			seal = append(seal, "q_"+q.Name, q.Name)
		}
	}
	ref := "visit/" + id
	return []draft{{Op: "put", Ref: ref, Fields: string(body.With("note", syncproto.MustValue("老人在家")).Bytes()), Seal: seal}, {Op: "act", Ref: ref, Act: "submit"}}
}

func TestAVisitFromTheWebApp(t *testing.T) {
	w := newWorld(t)
	w.web.capture(w.homeRef().String(), w.visit("v-1")...)
	w.agree()
	v, open := w.opened(syncproto.Ref{Kind: "visit", ID: "v-1"})
	if v.Body.Str("state") != "submitted" || open["note"] != "老人在家" || !syncproto.IsSealed(v.Body.Get("note")) {
		t.Errorf("%s %v; outbox %+v", v.Body.Bytes(), open, w.web.status().Outbox)
	}
}

func TestConcurrentEditsOfAPhoneAndTheWebApp(t *testing.T) {
	w := newWorld(t)
	home := w.homeRef()
	_, err := w.phone.Engine.Capture(home, []device.Draft{{Op: syncproto.OpSet, Ref: home, Seal: []string{"phone", "door_no"},
		Fields: syncproto.Fields(map[string]any{"phone": "13900000001", "door_no": "7号"})}}, syncproto.Clock{Wall: w.wall()})
	w.must(err)
	w.web.capture(home.String(), draft{Op: "set", Ref: home.String(), Seal: []string{"phone", "door_no"},
		Fields: fields(map[string]any{"phone": "13900000002", "door_no": "7号"})})
	w.syncPhone()
	w.agree()
	w.agree()
	_, open := w.opened(home)
	seen := w.web.view(home.String())
	if open["phone"] != seen.Fields["phone"] || seen.Fields["door_no"] != "7号" || seen.Pending {
		t.Errorf("the phone sees %v, the web app %v", open, seen.Fields)
	}
	var conflicts []string
	if e := w.web.ask(map[string]any{"do": "list", "kind": "conflict"}, &conflicts); e != "" || len(conflicts) != 1 {
		t.Fatalf("%v %s", conflicts, e)
	}
	if c := w.web.view(conflicts[0]); c.Fields["field"] != "phone" || c.Fields["state"] != "open" {
		t.Errorf("%+v", c)
	}
	// Whoever writes a server's field is told so, and keeps his words.
	w.web.capture(home.String(), draft{Op: "set", Ref: home.String(), Fields: fields(map[string]any{"state": "active"})})
	w.web.sync("")
	last := w.web.status().Outbox
	if x := last[len(last)-1]; x.State != "rejected" || x.Code != "server_field" || x.Reason == "" {
		t.Errorf("%+v", x)
	}
	w.agree()
}

func TestADamagedRowOfTheWebAppIsFetchedAfresh(t *testing.T) {
	w := newWorld(t)
	home := w.homeRef()
	w.web.do(map[string]any{"do": "spoil", "bucket": "grid:" + w.home.Grid, "ref": home.String()})
	_, err := w.phone.Engine.Capture(home, []device.Draft{{Op: syncproto.OpSet, Ref: home, Fields: syncproto.Fields(map[string]any{"members_count": 9})}}, syncproto.Clock{Wall: w.wall()})
	w.must(err)
	w.syncPhone()
	w.web.sync("")
	if s := w.web.status(); len(s.Incidents) != 1 || s.Incidents[0].Bucket != "grid:"+w.home.Grid {
		t.Fatalf("%+v", s.Incidents)
	}
	w.agree()
	if v := w.web.view(home.String()); v.Fields["members_count"] != float64(9) {
		t.Errorf("%+v", v)
	}
}

func TestAWebAppPutBackFromABackupIsReissued(t *testing.T) {
	w := newWorld(t)
	home := w.homeRef()
	edit := func(field, value string) {
		w.web.capture(home.String(), draft{Op: "set", Ref: home.String(), Fields: fields(map[string]any{field: value}), Seal: []string{field}})
	}
	edit("note", "第一次")
	w.web.do(map[string]any{"do": "backup"})
	edit("phone", "13900000003")
	w.web.sync("")
	w.web.do(map[string]any{"do": "restore"})
	edit("door_no", "8号")
	edit("address", "新村8号")
	w.web.sync(string(syncproto.CodeDseqReused))
	if s := w.web.status(); s.State.Trouble == "" {
		t.Fatalf("%+v", s.State)
	}
	w.web.do(map[string]any{"do": "reissue", "server": w.app.URL, "code": w.code()})
	w.agree()
	if _, open := w.opened(home); open["note"] != "第一次" || open["phone"] != "13900000003" || open["door_no"] != "8号" || open["address"] != "新村8号" {
		t.Errorf("%v", open)
	}
	for _, x := range w.web.status().Outbox {
		if x.State != "done" {
			t.Errorf("%+v", x)
		}
	}
}
