package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aidloop/server/casework"
)

const root = "../../.."

// file is a Go file of the project with what it imports.
type file struct {
	path    string // from the top of the project
	pkg     string // its folder
	test    bool
	imports []string
	syntax  *ast.File
}

func files(t *testing.T) (list []file) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		f := file{path: filepath.ToSlash(rel), pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(path, "_test.go"), syntax: syntax}
		for _, i := range syntax.Imports {
			p, _ := strconv.Unquote(i.Path.Value) // the parser has read it already
			f.imports = append(f.imports, p)
		}
		list = append(list, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func in(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// rooms says what the files of a folder may import of ours, and what they must not import at all, with the reason. The
// first entry that holds a file decides.
var rooms = []struct {
	folder string
	ours   []string // nil: everything
	never  []string
	why    string
}{
	{"fixtures", nil, nil, ""},
	{"server/cmd", nil, nil, ""},
	{"syncproto/device", []string{"syncproto"}, []string{"net/http", "database/sql"}, "the engine is a step machine over a small store, so that a simulator can stop it anywhere"},
	{"syncproto", []string{}, []string{"net/http", "database/sql", "context", "sync"}, "the protocol is pure functions: everybody may import it, it imports nobody"},
	{"server/casework/internal", []string{}, nil, "generators stand alone"},
	{"server/casework", []string{"syncproto"}, []string{"net/http", "database/sql", "context", "encoding/json"}, "the domain takes values and returns values"},
	{"server/loop", []string{"server/casework", "syncproto"}, []string{"net/http", "database/sql", "github.com/gofiber/fiber/v2"}, "the verbs know neither HTTP nor SQL"},
	{"storage/storagetest", []string{"storage", "server/loop", "syncproto"}, nil, "conformance suites know the ports and the stores"},
	{"storage/device", []string{"syncproto"}, nil, "a store keeps what it is told"},
	{"storage", []string{"storage", "server/loop", "syncproto"}, []string{"github.com/gofiber/fiber/v2"}, "a store keeps what it is told and knows no rule"},
	{"mobile-api/client", []string{"syncproto"}, []string{"database/sql"}, "the phone's transport knows the engine and nothing of the server"},
	{"mobile-api/blobs", []string{"storage/blob"}, []string{"database/sql"}, "uploads know the blob store only; who may is asked through an interface"},
	{"mobile-api", []string{"mobile-api", "server/loop", "server/casework", "server/edge", "server/problem", "server/token", "syncproto"}, []string{"database/sql"}, "HTTP knows the verbs, not the store"},
	{"server/desk", []string{"server/loop", "server/casework", "server/edge", "server/problem", "server/token", "syncproto"}, []string{"database/sql"}, "HTTP knows the verbs, not the store"},
	{"server/public", []string{"server/loop", "server/casework", "server/edge", "server/problem", "syncproto"}, []string{"database/sql"}, "HTTP knows the verbs, not the store"},
	{"server", []string{"server/loop", "server/casework", "server/problem", "syncproto"}, []string{"database/sql"}, "what both APIs share knows the verbs, not the store"},
}

func TestImportsPointInward(t *testing.T) {
	for _, f := range files(t) {
		if f.test {
			continue // tests may bring rooms together
		}
		i := slices.IndexFunc(rooms, func(r struct {
			folder string
			ours   []string
			never  []string
			why    string
		}) bool {
			return in(f.pkg, r.folder)
		})
		if i < 0 {
			t.Errorf("%s is in no room", f.path)
			continue
		}
		r := rooms[i]
		for _, imp := range f.imports {
			ours, isOurs := strings.CutPrefix(imp, "aidloop/")
			allowed := !isOurs || r.ours == nil || slices.ContainsFunc(append(slices.Clone(r.ours), r.folder), func(a string) bool { return in(ours, a) })
			if !allowed || slices.Contains(r.never, imp) {
				t.Errorf("%s imports %s: %s", f.path, imp, r.why)
			}
		}
	}
}

// The protocol, the engine and the domain are told the time, and start no goroutine.
func TestPureRoomsReadNoClock(t *testing.T) {
	for _, f := range files(t) {
		if f.test || !in(f.pkg, "syncproto") && f.pkg != "server/casework" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", f.path)
			case *ast.SelectorExpr:
				if id, ok := x.X.(*ast.Ident); ok && id.Name == "time" && (x.Sel.Name == "Now" || x.Sel.Name == "Sleep" || x.Sel.Name == "Since") {
					t.Errorf("%s reads a clock", f.path)
				}
			}
			return true
		})
	}
}

func TestTopLevel(t *testing.T) {
	allowed := []string{"server", "syncproto", "mobile-api", "storage", "fixtures", "go.mod", "go.sum", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

// The picture in casework's doc.go names functions of the loop; each of them exists.
func TestThePictureIsTrue(t *testing.T) {
	have := map[string]bool{}
	for _, f := range files(t) {
		if f.pkg != "server/loop" || f.test {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
				have[fn.Name.Name] = true
			}
		}
	}
	doc, err := os.ReadFile(filepath.Join(root, "server/casework/doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range casework.Arrows {
		if !have[name] {
			t.Errorf("server/loop has no %s", name)
		}
		if !strings.Contains(string(doc), "loop."+name) {
			t.Errorf("the picture does not show loop.%s", name)
		}
	}
}

// Tests neither sleep nor skip.
func TestTestsNeitherSleepNorSkip(t *testing.T) {
	for _, f := range files(t) {
		if !f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if x, ok := n.(*ast.SelectorExpr); ok {
				id, _ := x.X.(*ast.Ident)
				if id != nil && (id.Name == "time" && x.Sel.Name == "Sleep" || id.Name == "t" && (x.Sel.Name == "Skip" || x.Sel.Name == "Skipf")) {
					t.Errorf("%s: %s.%s", f.path, id.Name, x.Sel.Name)
				}
			}
			return true
		})
	}
}
