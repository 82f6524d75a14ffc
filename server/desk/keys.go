package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// HoldingsView is what a phone may still hold, by its own word.
type HoldingsView struct {
	DeviceView
	UserName string        `json:"user_name"`
	Silent   int           `json:"silent_days" doc:"Whole days since the phone was last heard of."`
	Claims   bool          `json:"says_what_it_holds" doc:"False: the phone has never said what it has captured, so unsent is unknown."`
	Tasks    []string      `json:"open_tasks" doc:"Open tasks of its user: work that may lie on the phone."`
	Held     []HeldView    `json:"held" doc:"What it sent and waits for people."`
	Buckets  []HeldBucket  `json:"buckets" doc:"What it last said it holds, to within 6 hours."`
	Missing  []MissingView `json:"missing_photos" doc:"Photos that its records name and that have not arrived."`
	Partial  bool          `json:"partial,omitempty" doc:"Only the newest records of evidence were looked at."`
	Shown    string        `json:"shown" doc:"Send it along to retire the phone: it proves that this was seen as it is now."`
}

// HeldBucket is a bucket on a phone.
type HeldBucket struct {
	Bucket string `json:"bucket"`
	Cursor string `json:"cursor"`
	Rows   *int64 `json:"rows,omitempty"`
	Digest string `json:"digest,omitempty"`
	Gone   bool   `json:"gone" doc:"The phone says that it has erased it."`
	At     string `json:"at"`
}

// MissingView is a record of evidence whose photo has not arrived.
type MissingView struct {
	Evidence string `json:"evidence"`
	Root     string `json:"root"`
	SHA256   string `json:"sha256"`
}

// Rotation is a key that was rotated, or is being.
type Rotation struct {
	Bucket  string `json:"bucket" zh:"范围"`
	Version uint64 `json:"version" zh:"版本"`
	Pending bool   `json:"pending" zh:"进行中" doc:"Not every household's key is wrapped anew yet."`
	Done    int64  `json:"done" zh:"已完成" doc:"Households and leads whose key was wrapped anew."`
	Cases   bool   `json:"cases" zh:"含案件密钥" doc:"New values of these households are sealed under new keys."`
	Begun   string `json:"begun" zh:"开始时间"`
}

type reasonBody struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}

func holdingsView(h *loop.Holdings) HoldingsView {
	v := HoldingsView{DeviceView: deviceView(h.Device), UserName: h.UserName, Silent: h.Silent, Claims: h.Claims, Tasks: make([]string, len(h.Tasks)),
		Held: make([]HeldView, len(h.Held)), Buckets: make([]HeldBucket, len(h.Buckets)), Missing: make([]MissingView, len(h.Missing)), Partial: h.Partial, Shown: h.Shown}
	for i, t := range h.Tasks {
		v.Tasks[i] = t.ID
	}
	for i, x := range h.Held {
		v.Held[i] = heldView(x)
	}
	for i, b := range h.Buckets {
		v.Buckets[i] = HeldBucket{Bucket: b.Bucket, Cursor: b.Cursor, Digest: b.Digest, Gone: b.Gone, At: millis(b.At)}
		if b.Count >= 0 {
			v.Buckets[i].Rows = &b.Count
		}
	}
	for i, m := range h.Missing {
		v.Missing[i] = MissingView{m.Ref.ID, m.Root.String(), m.SHA256}
	}
	return v
}

// deviceSteps are what becomes of a phone.
func (a *API) deviceSteps() {
	huma.Register(a.huma, op(http.MethodGet, "/devices/{id}/holdings", "device-holdings", "devices", "Show what a phone may still hold, before something is moved or wiped"),
		func(ctx context.Context, in *userInput) (*body[HoldingsView], error) {
			h, err := a.Loop.Holdings(ctx, actor(ctx), in.ID, func(ctx context.Context, sha string) (bool, error) {
				_, there, err := a.Blobs.Has(ctx, sha)
				return there, err
			})
			if err != nil {
				return nil, wrap(err)
			}
			return answer(holdingsView(h), nil)
		})
	for path, step := range map[string][3]string{
		"lost": {"lose", "lose-device", "Report a phone lost: it is shut out until it is found, and its user gets a new key"},
		"stolen": {"steal", "steal-device", "Report a phone stolen: it is shut out for good, every key that it held is rotated, and it is told to erase " +
			"itself (which works only if it comes by and cooperates)"},
		"found": {"find", "find-device", "Let a lost phone go on; what it sent meanwhile is judged"},
		"keep":  {"keep", "keep-device", "Take back that a phone is to be retired"},
	} {
		huma.Register(a.huma, op(http.MethodPost, "/devices/{id}/"+path, step[1], "devices", step[2]),
			func(ctx context.Context, in *struct {
				ID   string `path:"id" maxLength:"64"`
				Body reasonBody
			}) (*empty, error) {
				return done(a.Loop.StepDevice(ctx, actor(ctx), loop.DeviceStep{Device: in.ID, Action: step[0], Reason: in.Body.Reason}))
			})
	}
	huma.Register(a.huma, op(http.MethodPost, "/devices/{id}/retire", "retire-device", "devices",
		"Retire a phone: it hands over first, then erases itself; a second time retires it at once, whatever it holds"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"64"`
			Body struct {
				Reason string `json:"reason" minLength:"1" maxLength:"500"`
				Shown  string `json:"shown" maxLength:"64" doc:"What the phone's holdings answered."`
			}
		}) (*empty, error) {
			return done(a.Loop.StepDevice(ctx, actor(ctx), loop.DeviceStep{Device: in.ID, Action: "retire", Reason: in.Body.Reason, Shown: in.Body.Shown}))
		})
}

// keys rotates keys.
func (a *API) keys() {
	huma.Register(a.huma, op(http.MethodPost, "/keys/buckets/{bucket}/rotate", "rotate-bucket", "keys", "Give a grid's or a desk's bucket a new key"),
		func(ctx context.Context, in *struct {
			Bucket string `path:"bucket" maxLength:"96"`
			Body   struct {
				Reason string `json:"reason" minLength:"1" maxLength:"500"`
				Cases  bool   `json:"cases,omitempty" doc:"Seal new values of its households under new keys too."`
			}
		}) (*empty, error) {
			return done(a.Loop.RotateBucket(ctx, actor(ctx), in.Bucket, in.Body.Reason, in.Body.Cases))
		})
	huma.Register(a.huma, op(http.MethodPost, "/keys/roots/{kind}/{id}/rotate", "rotate-case-key", "keys", "Give a household or lead a new case key; older values stay readable"),
		func(ctx context.Context, in *struct {
			Kind string `path:"kind" enum:"household,lead"`
			ID   string `path:"id" maxLength:"64"`
			Body reasonBody
		}) (*empty, error) {
			return done(a.Loop.RotateCaseKey(ctx, actor(ctx), syncproto.Ref{Kind: in.Kind, ID: in.ID}, in.Body.Reason))
		})
	listing(a, op(http.MethodGet, "/keys/rotations", "list-rotations", "keys", "List rotated keys and how far their rotation has come"), "密钥轮换",
		func(ctx context.Context, in *struct {
			AsTable
			After string `query:"after" maxLength:"96" doc:"The last bucket of the former page."`
			Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
		}) ([]Rotation, []Rotation, error) {
			list, err := a.Loop.Rotations(ctx, actor(ctx), in.After, in.Limit)
			out := make([]Rotation, len(list))
			for i, v := range list {
				out[i] = Rotation{v.Bucket, v.Version, v.Pending, v.Done, v.Cases, millis(v.Begun)}
			}
			return out, out, err
		})
}
