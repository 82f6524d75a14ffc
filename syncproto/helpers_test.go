package syncproto

import (
	"encoding/base64"
	"flag"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMain gives the property tests one fixed seed, so that a run repeats itself. A campaign explores further with
// -rapid.seed=N -rapid.checks=M.
func TestMain(m *testing.M) {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{"rapid.seed": "20250919", "rapid.nofailfile": "true"} {
		if given[name] {
			continue
		}
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// text draws strings that are hard on encoders: controls, quotes, HTML, separators, astral and combining characters.
func text() *rapid.Generator[string] {
	hard := []string{"", "\x00", "\x1f", "\x7f", "\b\t\n\f\r", `"`, `\`, "/", "<b>&amp;</b>", "\u2028\u2029", "é", "e\u0301",
		"张三", "𠮷", "🚜", "\ufeff", "\uffff", "\ufffd", `\u0041`, "null"}
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hard), rapid.StringN(0, 6, 12)), 0, 4).Draw(t, "parts")
		return strings.ToValidUTF8(strings.Join(parts, ""), "")
	})
}

func name() *rapid.Generator[string] { return rapid.StringMatching(`[a-z0-9_]{1,10}`) }

// field draws names that may appear in a body.
func field() *rapid.Generator[string] { return rapid.StringMatching(`[a-z][a-z0-9_]{0,6}`) }

func id() *rapid.Generator[string] { return rapid.StringMatching(`[A-Za-z0-9_.\-]{1,12}`) }

func integer() *rapid.Generator[int64] { return rapid.Int64Range(-MaxInt, MaxInt) }

// value draws Go values that have a canonical form, nested at most depth levels.
func value(depth int) *rapid.Generator[any] {
	flat := rapid.OneOf(text().AsAny(), integer().AsAny(), rapid.Bool().AsAny(),
		rapid.SampledFrom([]int64{0, 1, -1, MaxInt, -MaxInt}).AsAny())
	if depth == 0 {
		return flat
	}
	return rapid.OneOf(flat, rapid.Custom(func(t *rapid.T) any {
		return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "array")
	}), rapid.Custom(func(t *rapid.T) any {
		return rapid.MapOfN(name(), value(depth-1), 0, 3).Draw(t, "object")
	}))
}

func raw() *rapid.Generator[Raw] {
	return rapid.Custom(func(t *rapid.T) Raw { return MustValue(value(3).Draw(t, "value")) })
}

func object() *rapid.Generator[Object] {
	return rapid.Custom(func(t *rapid.T) Object {
		return Fields(rapid.MapOfN(field(), value(2), 0, 6).Draw(t, "fields"))
	})
}

func stamp() *rapid.Generator[Stamp] {
	return rapid.Custom(func(t *rapid.T) Stamp {
		return MakeStamp(rapid.SampledFrom([]string{"dev-a", "dev-b", "dev-c", "inc-1"}).Draw(t, "origin"),
			rapid.Uint64Range(1, 50).Draw(t, "n"))
	})
}

func nested(open, inside, end string, levels int) string {
	return strings.Repeat(open, levels) + inside + strings.Repeat(end, levels)
}

func rawURL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
