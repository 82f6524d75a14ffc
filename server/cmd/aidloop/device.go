package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"aidloop/fixtures/story"
	"aidloop/mobile-api/client"
	"aidloop/server/casework"
	store "aidloop/storage/device"
	"aidloop/syncproto"
	"aidloop/syncproto/device"
)

// deviceCmd is a real phone for scripts and testers: the reference engine with its store on disk.
type deviceCmd struct {
	Enroll    enrollCmd      `cmd:"" help:"Exchange a one-time code for a device identity."`
	Tasks     tasksCmd       `cmd:"" help:"List what is to be done."`
	Visit     visitCmd       `cmd:"" help:"Capture a home visit and submit it, offline."`
	Photo     photoCmd       `cmd:"" help:"Add a photo to a visit, offline."`
	Sync      syncCmd        `cmd:"" help:"Exchange with the server, then send photos."`
	Status    statusCmd      `cmd:"" help:"Say what is only on this phone and what needs attention."`
	Conflicts conflictsCmd   `cmd:"" help:"List values that somebody else wrote at the same time."`
	Chain     chainCmd       `cmd:"" help:"Tell a household's aid chain from what the phone holds, offline."`
	Export    exportCmd      `cmd:"" help:"Write what is only on this phone into a bundle, to be carried to the server."`
	Import    importReplyCmd `cmd:"" help:"Take the server's reply to a bundle."`
	Settle    settleCmd      `cmd:"" help:"Settle a conflict, offline: keep what stands, or take what lost."`
}

// phoneFlag says which phone.
type phoneFlag struct {
	Phone string `help:"Folder of the phone's data." default:"phone" type:"path"`
}

// phoneClock reads the machine's clocks the way a phone does.
func phoneClock() syncproto.Clock {
	return syncproto.Clock{Wall: time.Now().UnixMilli(), Mono: time.Since(processStart).Milliseconds(), Boot: bootID}
}

var (
	processStart = time.Now()
	bootID       = fmt.Sprintf("process-%d-%d", os.Getpid(), processStart.UnixNano())
)

func phoneOptions() device.Options {
	return device.Options{PolicyOf: story.PolicyOf, Random: rand.Reader, Catalog: casework.CatalogVersion}
}

// with opens the phone, runs fn and closes it.
func (p *phoneFlag) with(fn func(ctx context.Context, phone *story.Phone) error) error {
	ctx := context.Background()
	s, err := store.Open(ctx, p.Phone)
	if err != nil {
		return fmt.Errorf("--phone: %w", err)
	}
	c, err := client.OpenPhone(s, nil, phoneOptions(), phoneClock)
	if errors.Is(err, device.ErrNotEnrolled) {
		err = fmt.Errorf("--phone: %s is not enrolled yet: run aidloop device enroll first", p.Phone)
	}
	if err == nil {
		err = fn(ctx, &story.Phone{Client: c, Clock: phoneClock})
	}
	return errors.Join(err, s.Close())
}

type enrollCmd struct {
	phoneFlag
	Server string `help:"The server's address, such as http://127.0.0.1:8080." required:""`
	Name   string `help:"What the desk calls this phone." default:"aidloop device"`
	Code   string `arg:"" help:"The one-time code, or the aidloop:// link."`
}

// Run enrols and makes the first sync.
func (c *enrollCmd) Run() error {
	ctx := context.Background()
	s, err := store.Open(ctx, c.Phone)
	if err != nil {
		return fmt.Errorf("--phone: %w", err)
	}
	phone, err := client.EnrolPhone(ctx, s, http.DefaultClient, c.Server, c.Code, c.Name, phoneOptions(), phoneClock)
	if err == nil {
		id := phone.Engine.Identity()
		fmt.Printf("enrolled as device %s of %s (%s, %s)\n", id.Device, id.UserName, id.Role, id.Region)
		_, err = phone.Sync(ctx)
	}
	return errors.Join(err, s.Close())
}

type tasksCmd struct{ phoneFlag }

// Run lists the open tasks.
func (c *tasksCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		tasks, err := p.Tasks()
		if err != nil {
			return err
		}
		for _, t := range tasks {
			b := t.Body
			fmt.Printf("%s  %s  期限 %s  线索 %s  家庭 %s\n", b.Str("type"), b.Str("title"), b.Str("due_on"), b.Str("lead"), t.Root.ID)
			questions, err := p.Questions(t)
			if err != nil {
				return err
			}
			for _, m := range questions {
				fmt.Printf("    %v:%v(走访 %s)\n", m["question"], m["comment"], b.Str("visit"))
			}
		}
		fmt.Printf("%d open tasks\n", len(tasks))
		return nil
	})
}

type syncCmd struct{ phoneFlag }

// Run syncs.
func (c *syncCmd) Run() error {
	return c.with(func(ctx context.Context, p *story.Phone) error {
		done, err := p.Sync(ctx)
		fmt.Printf("%d exchanges, %d bytes sent, %d received, %d photos\n", done.Exchanges, done.Sent, done.Received, done.Photos)
		if err == nil && done.Fault != nil {
			err = fmt.Errorf("%s: %s", done.Fault.Code, done.Fault.Message)
		}
		return err
	})
}

type statusCmd struct {
	phoneFlag
	Speed int64 `help:"Bytes per second of the line, for the estimate." default:"20000"`
	JSON  bool  `help:"Print one JSON object."`
}

// Run prints the phone's status.
func (c *statusCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		s, err := p.Engine.Status(c.Speed)
		if err != nil {
			return err
		}
		buckets, err := p.Engine.Buckets()
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(os.Stdout).Encode(map[string]any{"status": s, "buckets": buckets})
		}
		fmt.Printf("only on this phone: %d groups, %d photos, %d bytes, about %d s to send\n", s.OnlyHere, s.Photos, s.OnlyBytes, s.Seconds)
		if s.Stuck > 0 {
			fmt.Printf("%d of the photos cannot be sent: damaged on this phone, or their key is not here; sync, then take them again\n", s.Stuck)
		}
		for _, x := range s.Held {
			fmt.Printf("held     %d: %s %s\n", x.Dseq, x.Code, x.Reason)
		}
		for _, x := range s.Rejected {
			fmt.Printf("rejected %d: %s %s\n", x.Dseq, x.Code, x.Reason)
		}
		for _, i := range s.Incidents {
			fmt.Printf("incident in %s at %d\n", i.Bucket, i.Seq)
		}
		for _, g := range s.Lost {
			fmt.Printf("lost     %d to %d: 服务器恢复备份后需要这些内容,但本机已不再保存;请对照纸质记录补录\n", g.From, g.To)
		}
		if s.ClockOff {
			fmt.Printf("clock: 本机时间比服务器%s %s,请在系统设置中打开自动对时;已采集的内容不受影响\n", aheadOrBehind(s.ClockOffset), (time.Duration(max(s.ClockOffset, -s.ClockOffset)) * time.Millisecond).Round(time.Second))
		}
		if s.Trouble != "" {
			fmt.Printf("trouble: %s %s\n", s.Trouble, s.Trouble.Words())
		}
		for _, b := range buckets {
			fmt.Printf("%-28s %6d rows  %.16s…\n", b.Name, b.Count, b.Digest)
		}
		return nil
	})
}

func aheadOrBehind(ms int64) string {
	if ms > 0 {
		return "快"
	}
	return "慢"
}

type conflictsCmd struct{ phoneFlag }

// Run lists open conflicts with both values.
func (c *conflictsCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		list, err := p.Engine.Conflicts()
		if err != nil {
			return err
		}
		for _, v := range list {
			fmt.Printf("%s  %s %s\n    采用:%s\n    未采用:%s\n", v.Ref.ID, v.Body.Str("rec"), v.Body.Str("field"), side(v.Body.Get("winner")), side(v.Body.Get("loser")))
		}
		fmt.Printf("%d open conflicts\n", len(list))
		return nil
	})
}

type settleCmd struct {
	phoneFlag
	Conflict string `arg:"" help:"The conflict's id, as aidloop device conflicts prints it."`
	Take     bool   `help:"The value that lost is right; else what stands is kept."`
}

// Run captures the decision as a change like any other.
func (c *settleCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		root, drafts, err := p.Engine.Settle(c.Conflict, c.Take)
		if err != nil {
			return err
		}
		x, err := p.Engine.Capture(root, drafts, phoneClock())
		if err == nil {
			fmt.Printf("kept on this phone as change %d to %d; run aidloop device sync\n", x.Dseq, x.Last)
		}
		return err
	})
}

// side shows one value of a conflict with its author and time.
func side(raw syncproto.Raw) string {
	o, err := syncproto.ParseObject(raw)
	if err != nil {
		return "?"
	}
	value := string(o.Get("value"))
	if syncproto.IsSealed(o.Get("value")) {
		value = "(加密)"
	}
	return strings.TrimSpace(fmt.Sprintf("%s  %s %s", value, o.Str("author"), time.UnixMilli(o.Int("time")).Format(time.RFC3339)))
}
