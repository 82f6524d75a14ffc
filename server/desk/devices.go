package desk

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"aidloop/server/loop"
	"aidloop/server/problem"
	"aidloop/syncproto"
)

// DeviceView is an enrolled phone.
type DeviceView struct {
	ID       string `json:"id" zh:"编号"`
	User     string `json:"user" zh:"使用人"`
	Name     string `json:"name" zh:"名称"`
	State    string `json:"state" zh:"状态" enum:"active,retiring,retired,lost,stolen,revoked,frozen"`
	Reason   string `json:"reason,omitempty" zh:"原因" doc:"Why it is in its state."`
	Since    string `json:"since,omitempty" zh:"自" doc:"Since when it is in its state."`
	Changes  uint64 `json:"changes" zh:"已收到" doc:"The last change of the phone that is on record."`
	Enrolled string `json:"enrolled" zh:"登记时间"`
	Seen     string `json:"seen" zh:"最近联系" doc:"When it was last heard of, to within 6 hours; a phone that is silent for long may hold work."`
	Unsent   uint64 `json:"unsent" zh:"未上传" doc:"Changes that it last said it holds and that are not on record. It may have captured more since."`
	Photos   int64  `json:"photos_unsent" zh:"未上传照片" doc:"Photos that it last said wait on it."`
	Erased   string `json:"erased,omitempty" zh:"已清除" doc:"When the phone said that its rows and keys are gone. It is the phone's word: erasing works only on phones that come by and cooperate."`
}

func deviceView(d loop.Device) DeviceView {
	v := DeviceView{ID: d.ID, User: d.User, Name: d.Name, State: d.State, Reason: d.Reason, Changes: d.Have, Enrolled: millis(d.CreatedAt),
		Seen: millis(d.SeenAt), Unsent: d.Unsent(), Photos: d.Photos}
	v.Since, v.Erased = millis(d.Since), millis(d.ErasedAt)
	return v
}

// GridDeviceView is a phone that holds a grid, or may still hold work of it.
type GridDeviceView struct {
	DeviceView
	UserName string `json:"user_name" zh:"姓名"`
	Granted  bool   `json:"granted" zh:"有授权" doc:"False: the grant has ended within the last 30 days."`
	Silent   int    `json:"silent_days" zh:"未联系天数" doc:"Whole days since the phone was last heard of."`
	Tasks    int    `json:"open_tasks" zh:"待办任务" doc:"Open tasks of its user: work that may lie on the phone."`
	Held     int    `json:"held" zh:"待处理" doc:"What it sent and waits for people."`
}

// HeldView is a group that waits for somebody's word.
type HeldView struct {
	Device  string   `json:"device" zh:"设备"`
	Dseq    uint64   `json:"dseq" zh:"序号"`
	User    string   `json:"user" zh:"使用人"`
	Code    string   `json:"code" zh:"代码"`
	Reason  string   `json:"reason" zh:"原因"`
	Root    string   `json:"root,omitempty" zh:"所属"`
	Records []string `json:"records,omitempty" zh:"记录"`
	At      string   `json:"at" zh:"收到时间"`
	Expires string   `json:"expires" zh:"最迟处理"`
}

func heldView(h loop.Held) HeldView {
	return HeldView{h.Device, h.Dseq, h.User, string(h.Code), h.Code.Words(), h.Root.String(), h.Refs, millis(h.At), millis(h.Expires)}
}

func (a *API) devices() {
	listing(a, op(http.MethodGet, "/devices", "list-devices", "devices", "List a user's phones"), "设备",
		func(ctx context.Context, in *struct {
			AsTable
			User string `query:"user" required:"true" maxLength:"64"`
		}) ([]DeviceView, []DeviceView, error) {
			list, err := a.Loop.Devices(ctx, actor(ctx), in.User)
			out := make([]DeviceView, len(list))
			for i, d := range list {
				out[i] = deviceView(d)
			}
			return out, out, err
		})
	listing(a, op(http.MethodGet, "/grids/{grid}/devices", "list-grid-devices", "devices", "List the phones of a grid, the longest silent first, before something is moved or wiped"), "网格设备",
		func(ctx context.Context, in *struct {
			AsTable
			Grid string `path:"grid" maxLength:"16"`
		}) ([]GridDeviceView, []GridDeviceView, error) {
			list, err := a.Loop.GridDevices(ctx, actor(ctx), in.Grid)
			out := make([]GridDeviceView, len(list))
			for i, d := range list {
				out[i] = GridDeviceView{deviceView(d.Device), d.UserName, d.Granted, d.Silent, d.Tasks, d.Held}
			}
			return out, out, err
		})
	huma.Register(a.huma, op(http.MethodPost, "/devices/{id}/revoke", "revoke-device", "devices", "Shut a lost or stolen phone out"),
		func(ctx context.Context, in *userInput) (*empty, error) {
			return done(a.Loop.RevokeDevice(ctx, actor(ctx), in.ID))
		})
	a.deviceSteps()
	a.held()
	listing(a, op(http.MethodGet, "/audit", "list-audit", "devices", "Who did what"), "审计",
		func(ctx context.Context, in *struct {
			AsTable
			Before int64 `query:"before" minimum:"0" doc:"Entries older than this id."`
			Limit  int   `query:"limit" minimum:"1" maximum:"500" default:"100"`
		}) ([]AuditView, []AuditView, error) {
			list, err := a.Loop.AuditTrail(ctx, actor(ctx), in.Before, in.Limit)
			out := make([]AuditView, len(list))
			for i, e := range list {
				out[i] = AuditView{e.ID, millis(e.At), e.Actor, e.Role, e.Verb, e.Ref.String(), e.Root.String(), e.Details}
			}
			return out, out, err
		})
}

func (a *API) held() {
	listing(a, op(http.MethodGet, "/held", "list-held", "devices", "List what phones sent and could not be applied"), "待处理",
		func(ctx context.Context, _ *struct{ AsTable }) ([]HeldView, []HeldView, error) {
			list, err := a.Loop.HeldGroups(ctx, actor(ctx))
			out := make([]HeldView, len(list))
			for i, h := range list {
				out[i] = heldView(h)
			}
			return out, out, err
		})
	huma.Register(a.huma, op(http.MethodPost, "/held/{device}/{dseq}/{action}", "decide-held", "devices", "Judge a held group again, or reject it"),
		func(ctx context.Context, in *struct {
			Device string `path:"device" maxLength:"64"`
			Dseq   uint64 `path:"dseq" minimum:"1"`
			Action string `path:"action" enum:"retry,reject"`
			Body   struct {
				Reason string `json:"reason,omitempty" maxLength:"500"`
			}
		}) (*body[syncproto.Outcome], error) {
			o, err := a.Loop.DecideHeld(ctx, actor(ctx), in.Device, in.Dseq, in.Action == "retry", in.Body.Reason)
			if err != nil {
				return nil, wrap(err)
			}
			return answer(*o, nil)
		})
}

// AuditView is one audit entry.
type AuditView struct {
	ID      int64         `json:"id" zh:"编号"`
	At      string        `json:"at" zh:"时间"`
	Actor   string        `json:"actor" zh:"人员"`
	Role    string        `json:"role" zh:"岗位"`
	Verb    string        `json:"verb" zh:"操作"`
	Record  string        `json:"record,omitempty" zh:"记录"`
	Root    string        `json:"root,omitempty" zh:"所属"`
	Details syncproto.Raw `json:"details,omitempty" zh:"详情"`
}

// evidence serves photos and signatures. It is outside huma, since it streams.
func (a *API) evidence(app *fiber.App) {
	app.Get("/desk/v1/blobs/:sha", func(c *fiber.Ctx) error {
		s, err := a.who(c.UserContext(), c.Get("Authorization"))
		if err != nil {
			return problem.From(err)
		}
		sha := strings.Clone(c.Params("sha"))
		if _, err := syncproto.ParseHash(sha); err != nil {
			return problem.From(loop.ErrNotFound)
		}
		if err := a.Loop.MayViewBlob(c.UserContext(), s.actor, sha); err != nil {
			return problem.From(err)
		}
		blob, size, err := a.Blobs.Open(c.UserContext(), sha)
		if err != nil {
			return problem.From(err)
		}
		head := make([]byte, 512)
		n, err := io.ReadFull(blob, head)
		if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
			return fmt.Errorf("read blob: %w", err)
		}
		if _, err := blob.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read blob: %w", err)
		}
		c.Set(fiber.HeaderContentType, safeType(http.DetectContentType(head[:n])))
		c.Set("X-Content-Type-Options", "nosniff")
		c.Set(fiber.HeaderCacheControl, "private, no-store")
		c.Set("Content-Security-Policy", "default-src 'none'")
		return c.SendStream(blob, int(size))
	})
}

// safeType lets pictures through and makes a download of everything else, so that an upload can never run as a page.
func safeType(t string) string {
	switch t {
	case "image/jpeg", "image/png", "image/webp", "application/pdf":
		return t
	}
	return fiber.MIMEOctetStream
}
