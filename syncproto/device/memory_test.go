package device_test

import (
	"testing"

	"aidloop/storage/storagetest/devicetest"
	"aidloop/syncproto/device"
)

func TestMemory(t *testing.T) {
	kept := map[string]*device.Memory{}
	devicetest.Run(t, func(_ *testing.T, dir string) (device.Store, func()) {
		if kept[dir] == nil {
			kept[dir] = device.NewMemory()
		}
		return kept[dir], func() {}
	})
}
