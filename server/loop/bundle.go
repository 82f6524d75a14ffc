package loop

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"

	"aidloop/syncproto"
	"aidloop/syncproto/bundle"
)

// PhotoSink keeps a photo of a bundle under its SHA-256 and reads data to its end. ErrBadPhoto says that the bytes are
// not those that were announced; an error of data itself comes back as it is.
type PhotoSink func(ctx context.Context, device string, p syncproto.BundlePhoto, data io.Reader) error

// ErrBadPhoto is what a PhotoSink returns for bytes that it will never keep.
var ErrBadPhoto = errors.New("the photo is not what its name says")

// Import is what became of a bundle.
type Import struct {
	Device      string
	User        string
	Created     int64 // by the phone's clock, milliseconds
	First, Last uint64
	Groups      int
	Outcomes    int // groups that were received, now or before
	Parked      int // groups that wait for what comes before them
	Refused     []syncproto.Code
	Photos      int // kept
	PhotosLeft  int // damaged, or from a phone that is shut out
	Whole       bool
	Replied     bool // the reply was written to its end

	l     *Loop
	dev   *Device
	parts [][]byte // the reply's responses so far
	want  *syncproto.Want
	kept  []string
	may   bool // the device is active and its user may work
}

// BundleOptions say what a bundle is imported with. Admit, which may be nil, is asked once the bundle is known to be an
// enrolled device's own, before anything of it is read; leave is called at the end.
type BundleOptions struct {
	Photos PhotoSink
	Reply  io.Writer // where the reply goes, see writeReply; nil for none
	Admit  func(ctx context.Context) (leave func(), err error)
}

// ImportBundle takes a bundle, whoever carried it: every request in it is received as over a line, what comes too early
// is parked, photos are kept by content. It may come any number of times and in any order. Where it ends early, with an
// *Error, what was whole before has been taken, and the Import is returned beside the error.
func (l *Loop) ImportBundle(ctx context.Context, r io.Reader, o BundleOptions) (*Import, error) {
	b, i, err := l.openBundle(ctx, r)
	if err != nil {
		return nil, err
	}
	if o.Admit != nil {
		leave, err := o.Admit(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	early := i.take(ctx, b, o.Photos)
	err = i.close(ctx)
	if err == nil && o.Reply != nil {
		err = l.writeReply(ctx, i, o.Reply)
		i.Replied = err == nil
	}
	return i, errors.Join(early, err)
}

// take takes one part of the bundle after another.
func (i *Import) take(ctx context.Context, b *syncproto.BundleReader, photos PhotoSink) error {
	for {
		item, err := b.Next()
		if errors.Is(err, io.EOF) {
			i.Whole = true
			return nil
		}
		if err == nil && item.Photo != nil {
			err = i.photo(ctx, item, photos)
		} else if err == nil {
			err = i.message(ctx, item.Message)
		}
		if err != nil {
			return err
		}
	}
}

// openBundle decrypts a bundle and checks that an enrolled device made it.
func (l *Loop) openBundle(ctx context.Context, r io.Reader) (*syncproto.BundleReader, *Import, error) {
	plain, err := bundle.Open(r, l.secrets.BundleIdentity())
	if err != nil {
		return nil, nil, err
	}
	b, err := syncproto.NewBundleReader(plain)
	if err != nil {
		return nil, nil, err
	}
	if b.Head.Kind != syncproto.BundlePush {
		return nil, nil, syncproto.Refuse(syncproto.CodeForeignBundle, "a reply is for a phone")
	}
	i := &Import{Device: b.Head.Device, Created: b.Head.Created, l: l}
	if err := i.look(ctx); err != nil {
		return nil, nil, err
	}
	if !b.Signed.Verify(ed25519.PublicKey(i.dev.PublicKey)) {
		return nil, nil, syncproto.Refuse(syncproto.CodeBadSignature, "the bundle is not signed by its device")
	}
	return b, i, nil
}

// look reads how the device stands.
func (i *Import) look(ctx context.Context) error {
	return i.l.store.Read(ctx, func(tx ReadTx) error {
		dev, err := tx.Device(i.Device)
		if errors.Is(err, ErrNotFound) {
			return syncproto.Refuse(syncproto.CodeUnknownDevice, "")
		}
		if err != nil {
			return err
		}
		u, err := tx.User(dev.User)
		if err != nil {
			return err
		}
		i.dev, i.User = dev, dev.User
		i.may = dev.works() && usable(u, i.l.clock().UnixMilli())
		return nil
	})
}

// message receives one request of the bundle.
func (i *Import) message(ctx context.Context, raw []byte) error {
	req, err := syncproto.ParseRequest(raw)
	if err != nil {
		return err
	}
	if req.Hello.Device != i.Device {
		return syncproto.Refuse(syncproto.CodeMalformed, "a request of another device")
	}
	switch {
	case len(req.Groups) > 0:
		if err := i.push(ctx, raw, req); err != nil {
			return err
		}
	case req.Lost != nil:
		err := i.l.declareLost(ctx, req.Lost)
		var refusal *syncproto.Error
		if errors.As(err, &refusal) {
			i.Refused, err = append(i.Refused, refusal.Code), nil
		}
		if err != nil {
			return err
		}
	}
	if len(req.Witness) > 0 && i.may {
		if err := i.l.bearWitness(ctx, i.Device, req.Witness); err != nil {
			return err
		}
	}
	if req.Want != nil {
		i.want = req.Want
	}
	return nil
}

// push receives or parks the groups of a request, and keeps the answer for the reply. A refusal is part of the answer.
func (i *Import) push(ctx context.Context, raw []byte, req *syncproto.Request) error {
	if i.Groups += len(req.Groups); i.First == 0 {
		i.First = req.Sign.First
	}
	i.Last = req.Sign.Last
	p := Push{Request: req, Size: len(raw), Body: Compress("zstd", raw), Encoding: "zstd", Carried: i.l.clock().UnixMilli()}
	pushed, err := i.l.receiveOrPark(ctx, p)
	var refusal *syncproto.Error
	if err != nil && !errors.As(err, &refusal) {
		return err
	}
	out, err := i.l.answer(ctx, &req.Hello)
	if err != nil {
		return err
	}
	switch {
	case refusal == nil:
		i.Outcomes += len(pushed.Outcomes.Groups)
		out.json(syncproto.FrameOutcomes, pushed.Outcomes)
		out.json(syncproto.FrameReceipt, pushed.Receipt)
	case refusal.Code == syncproto.CodeParked:
		i.Parked += len(req.Groups)
	default:
		i.Refused = append(i.Refused, refusal.Code)
	}
	if refusal != nil {
		out.json(syncproto.FrameFault, syncproto.Fault{Code: refusal.Code, Message: refusal.Code.Words()})
	}
	i.parts = append(i.parts, out.end(true))
	return nil
}

// receiveOrPark receives a part of a bundle, or parks it where it comes too early: CodeParked.
func (l *Loop) receiveOrPark(ctx context.Context, p Push) (*Pushed, error) {
	const tries = 3 // what was missing may arrive between the two
	for range tries {
		pushed, err := l.Receive(ctx, p)
		var refusal *syncproto.Error
		if !errors.As(err, &refusal) || refusal.Code != syncproto.CodeDseqGap {
			return pushed, err
		}
		if again, err := l.park(ctx, p); err != nil {
			return nil, err
		} else if !again {
			return nil, syncproto.Refuse(syncproto.CodeParked, "kept until what comes before it has arrived")
		}
	}
	return nil, syncproto.Refuse(syncproto.CodeUnavailable, "the device is pushing at this very moment")
}

// photo keeps one photo, of a device that might upload it as well.
func (i *Import) photo(ctx context.Context, item syncproto.BundleItem, keep PhotoSink) error {
	if !i.may || keep == nil {
		i.PhotosLeft++
		return nil
	}
	err := keep(ctx, i.Device, *item.Photo, item.Data)
	switch {
	case errors.Is(err, ErrBadPhoto):
		i.PhotosLeft++
		return nil
	case err != nil:
		return err
	}
	i.Photos++
	i.kept = append(i.kept, item.Photo.SHA256)
	return nil
}

// close keeps what the phone wanted, for a later reply, and looks at the device again.
func (i *Import) close(ctx context.Context) error {
	if err := i.look(ctx); err != nil || i.want == nil {
		return err
	}
	raw, err := json.Marshal(i.want)
	if err != nil {
		return err
	}
	return i.l.store.Write(ctx, func(tx Tx) error { return tx.PutSetting(wantSetting(i.Device), string(raw)) })
}

func wantSetting(device string) string { return "bundle_want/" + device }

// Inspection says what a bundle holds and how it stands to what is on record.
type Inspection struct {
	Device, Name, State string
	User, UserName      string
	Created             int64
	Messages, Groups    int
	First, Last         uint64
	Have                uint64 // on record
	Missing             []Span // neither on record nor in the bundle
	Witnesses           int
	Wants               bool
	Photos              int
	PhotoBytes          int64
	Problem             error // why it ends early, nil for a whole one
}

// InspectBundle reads a bundle and changes nothing.
func (l *Loop) InspectBundle(ctx context.Context, r io.Reader) (*Inspection, error) {
	b, i, err := l.openBundle(ctx, r)
	if err != nil {
		return nil, err
	}
	d := i.dev
	out := &Inspection{Device: d.ID, Name: d.Name, State: d.State, User: d.User, Created: i.Created, Have: d.Have}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		u, err := tx.User(d.User)
		if err == nil {
			out.UserName = u.Name
		}
		return err
	})
	for end := d.Have; err == nil; {
		var item syncproto.BundleItem
		item, err = b.Next()
		if err == nil {
			err = out.add(item, &end)
		}
	}
	var refusal *syncproto.Error
	switch {
	case errors.As(err, &refusal):
		out.Problem = refusal
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return out, nil
}

// add counts one part. End is the last change that is on record or in the bundle so far.
func (x *Inspection) add(item syncproto.BundleItem, end *uint64) error {
	if item.Photo != nil {
		x.Photos++
		x.PhotoBytes += item.Photo.Size
		return nil
	}
	req, err := syncproto.ParseRequest(item.Message)
	if err != nil {
		return err
	}
	x.Messages++
	x.Groups += len(req.Groups)
	x.Witnesses += len(req.Witness)
	x.Wants = x.Wants || req.Want != nil
	if req.Sign == nil {
		return nil
	}
	if _, err := follow(Push{Request: req}); err != nil {
		return err
	}
	if x.First == 0 {
		x.First = req.Sign.First
	}
	if req.Sign.First > *end+1 {
		x.Missing = append(x.Missing, Span{*end + 1, req.Sign.First - 1})
	}
	x.Last = max(x.Last, req.Sign.Last)
	*end = max(*end, req.Sign.Last)
	return nil
}
