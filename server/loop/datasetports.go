package loop

import "aidloop/syncproto"

// Load is one snapshot of a dataset.
type Load struct {
	N       int64
	Dataset string
	SHA256  string // of its content, see LoadDataset
	By      string
	At      int64
	Rows    int
	Done    bool // all of its rows are there
}

// LoadRow is one row of a load. Subject is a sealed value, nil where nobody named the person.
type LoadRow struct {
	Line    int
	Key     string
	Cells   []string
	Subject syncproto.Raw
}

// FoundMatch is what matching found last of a person by a rule.
type FoundMatch struct {
	ID    string
	Print string
	Lead  string
	At    int64
}

// ReadDatasets is what matching reads.
type ReadDatasets interface {
	// LastLoad returns the newest load of a dataset that is done, or ErrNotFound.
	LastLoad(dataset string) (*Load, error)
	// LoadRows hands over a load's rows in order of arrival.
	LoadRows(load int64, fn func(LoadRow) error) error
	// LoadRowsOf hands over a load's rows of some keys, in no order.
	LoadRowsOf(load int64, keys []string, fn func(LoadRow) error) error
	// EachBlind hands over the blind index values of a field of a kind, in no order.
	EachBlind(kind, field string, fn func(index, id string) error) error
	// FoundMatch returns what was found last under an id, or ErrNotFound.
	FoundMatch(id string) (*FoundMatch, error)
}

// WriteDatasets is what loading and matching write.
type WriteDatasets interface {
	// PutLoad writes a load; N is set where it was 0.
	PutLoad(*Load) error
	// PutLoadRow adds a row to a load.
	PutLoadRow(load int64, r LoadRow) error
	// PutFoundMatch writes what was found, in place of what was found before under the same id.
	PutFoundMatch(FoundMatch) error
}
