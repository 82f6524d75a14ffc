package device_test

import (
	"testing"

	store "aidloop/storage/device"
	"aidloop/storage/storagetest/devicetest"
	"aidloop/syncproto/device"
)

func TestStore(t *testing.T) {
	devicetest.Run(t, func(t *testing.T, dir string) (device.Store, func()) {
		s, err := store.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return s, func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
