package qemu

import (
	"context"
	"fmt"
)

// Throttle bounds what a disk does in a second. Zeros are no bounds.
type Throttle struct {
	BytesRead, BytesWritten int64
	Reads, Writes           int64
}

// SlowDisk slows a virtio disk down, BootID or ContentID, to what a worn SD card
// does, for example. The zero Throttle lifts the bounds.
func (m *Machine) SlowDisk(ctx context.Context, id string, t Throttle) error {
	return m.QMP.Execute(ctx, "block_set_io_throttle", map[string]any{
		"id": backend(id), "bps": 0, "bps_rd": t.BytesRead, "bps_wr": t.BytesWritten,
		"iops": 0, "iops_rd": t.Reads, "iops_wr": t.Writes,
	}, nil)
}

// BytesRead returns how much the guest has read from a virtio disk since power-on.
func (m *Machine) BytesRead(ctx context.Context, id string) (int64, error) {
	var disks []struct {
		Device string `json:"qdev"`
		Stats  struct {
			Read int64 `json:"rd_bytes"`
		} `json:"stats"`
	}
	if err := m.QMP.Execute(ctx, "query-blockstats", nil, &disks); err != nil {
		return 0, err
	}
	for _, d := range disks {
		if d.Device == backend(id) {
			return d.Stats.Read, nil
		}
	}
	return 0, fmt.Errorf("query-blockstats: no disk %s", id)
}

// backend is QEMU's path of the part of a virtio disk that has the drive.
func backend(id string) string { return "/machine/peripheral/" + id + "/virtio-backend" }
