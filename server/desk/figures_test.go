package desk

import (
	"bytes"
	"testing"

	"github.com/xuri/excelize/v2"
)

// No text becomes a formula in whatever program opens the file, and no number becomes a text.
func TestExportsHoldNoFormulas(t *testing.T) {
	table := [][]any{{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "=1", "汨罗", "a=b", "", -3}}
	b, err := writeCSV(table)
	if err != nil {
		t.Fatal(err)
	}
	want := "\ufeff'=1+1,'+1,'-1,'@SUM(A1),'\t=1,\"'=1\",' =1,'=1,汨罗,a=b,,-3\r\n"
	if string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
	x, err := writeXLSX("表", table)
	if err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(bytes.NewReader(x))
	if err != nil {
		t.Fatal(err)
	}
	for i, cell := range []string{"A1", "B1", "C1", "D1", "H1", "L1"} {
		kind, err := f.GetCellType("表", cell)
		formula, err2 := f.GetCellFormula("表", cell)
		if err != nil || err2 != nil || formula != "" || (kind == excelize.CellTypeSharedString || kind == excelize.CellTypeInlineString) != (i < 5) {
			t.Errorf("%s: %v %q %v %v", cell, kind, formula, err, err2)
		}
	}
}
