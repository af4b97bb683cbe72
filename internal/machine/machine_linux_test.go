package machine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ingot/internal/disk"
	"ingot/internal/filesys/volumetest"
	"ingot/internal/plan"
)

// TestMain is also the process whose priority is changed.
func TestMain(m *testing.M) {
	if os.Getenv("PRIORITY_TEST") == "" {
		os.Exit(m.Run())
	}
	if err := SetPriority(plan.PriorityIdle, plan.PriorityLow); err != nil {
		panic(err)
	}
	err := eachThread(func(tid int) error {
		stat, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(tid) + "/stat")
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		prio, _, _ := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, uintptr(tid), 0)
		os.Stdout.WriteString("nice " + strings.Fields(rest)[16] + " io " + strconv.Itoa(int(prio)) + "\n")
		return nil
	})
	if err != nil {
		panic(err)
	}
}

func TestPriorityOfAllThreads(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PRIORITY_TEST=1")
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) < 2 {
		t.Fatalf("%q, %v", out, err)
	}
	for _, l := range lines {
		if l != "nice 19 io 16391" { // class 2, number 7
			t.Errorf("%q", lines)
		}
	}
}

func TestSupplies(t *testing.T) {
	type supply map[string]string
	battery := func(status, capacity string) supply {
		return supply{"type": "Battery", "status": status, "capacity": capacity}
	}
	mains := func(online string) supply { return supply{"type": "Mains", "online": online} }
	mouse := supply{"type": "Battery", "status": "Discharging", "capacity": "3", "scope": "Device"}
	for _, c := range []struct {
		name string
		all  map[string]supply
		want Supply
	}{
		{"a desktop", nil, Supply{false, -1}},
		{"a desktop with a mouse", map[string]supply{"hidpp": mouse}, Supply{false, -1}},
		{"a laptop on its battery", map[string]supply{"BAT0": battery("Discharging", "64"), "AC": mains("0")}, Supply{true, 64}},
		{"a laptop that is charged", map[string]supply{"BAT0": battery("Charging", "64"), "AC": mains("1")}, Supply{false, 64}},
		{"it draws more than its supply gives", map[string]supply{"BAT0": battery("Discharging", "64"), "AC": mains("1")}, Supply{false, 64}},
		{"two batteries, one of them at rest", map[string]supply{"BAT0": battery("Unknown", "80"), "BAT1": battery("Discharging", "20")}, Supply{true, 20}},
	} {
		root := t.TempDir()
		for name, files := range c.all {
			dir := filepath.Join(root, name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for f, content := range files {
				if err := os.WriteFile(filepath.Join(dir, f), []byte(content+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got, err := readSupplies(root); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
	if got, err := readSupplies("/nonexistent"); err != nil || got.Battery {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMetered(t *testing.T) {
	for text, want := range map[string]bool{
		"": false,
		"GENERAL.STATE:100 (connected)\nGENERAL.METERED:yes (guessed)\n":                                                   true,
		"GENERAL.STATE:100 (connected)\nGENERAL.METERED:no (guessed)\n":                                                    false,
		"GENERAL.STATE:30 (disconnected)\nGENERAL.METERED:yes\n\nGENERAL.STATE:100 (connected)\nGENERAL.METERED:unknown\n": false,
		"GENERAL.STATE:30 (disconnected)\nGENERAL.METERED:no\n\nGENERAL.STATE:100 (connected)\nGENERAL.METERED:yes\n":      true,
	} {
		if got := readMetered([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What holds the machine awake is a process that lives as long as it is to.
func TestHold(t *testing.T) {
	cmd := exec.Command("cat")
	release, err := hold(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	if cmd.ProcessState != nil {
		t.Error("it has ended")
	}
	release()
	if cmd.ProcessState == nil || !cmd.ProcessState.Success() {
		t.Errorf("%v", cmd.ProcessState)
	}
	if _, err := hold(t.Context(), exec.Command("false")); !errors.Is(err, ErrNoInhibitor) {
		t.Error(err)
	}
}

func TestAct(t *testing.T) {
	var done []plan.PowerAction
	acts := Acts{plan.PowerShutDown: func(context.Context) error { done = append(done, plan.PowerShutDown); return nil }}
	if err := acts.Act(t.Context(), plan.PowerShutDown); err != nil {
		t.Error(err)
	}
	if err := acts.Act(t.Context(), plan.PowerNothing); err != nil {
		t.Error(err)
	}
	if err := acts.Act(t.Context(), plan.PowerHibernate); err == nil || !strings.Contains(err.Error(), "hibernate") {
		t.Error(err)
	}
	if len(done) != 1 {
		t.Error(done)
	}
	for _, a := range []plan.PowerAction{plan.PowerShutDown, plan.PowerReboot, plan.PowerSuspend, plan.PowerHibernate} {
		if System()[a] == nil {
			t.Errorf("nothing does %s", a)
		}
	}
}

func TestDetachDecisions(t *testing.T) {
	usb, sata := disk.Info{Path: "/dev/sdb", Bus: "usb"}, disk.Info{Path: "/dev/sda", Bus: "sata"}
	for _, c := range []struct {
		name  string
		place disk.Place
		fails error
		calls string
	}{
		{"a USB drive with two file systems", disk.Place{Mount: "/mnt/a", Disks: []disk.Info{usb}, Mounts: []string{"/mnt/a", "/mnt/a/deep"}}, nil,
			"sync /mnt/a/deep, unmount /mnt/a/deep, sync /mnt/a, unmount /mnt/a, off /dev/sdb"},
		{"a built-in disk", disk.Place{Mount: "/mnt/a", Disks: []disk.Info{sata}, Mounts: []string{"/mnt/a"}}, ErrFixed, ""},
		{"one of two is built in", disk.Place{Mount: "/mnt/a", Disks: []disk.Info{usb, sata}, Stacked: true}, ErrFixed, ""},
		{"the system runs from USB", disk.Place{Mount: "/", Disks: []disk.Info{usb}, System: true, Mounts: []string{"/"}}, ErrFixed, ""},
		{"a tmpfs", disk.Place{Mount: "/tmp", FSType: "tmpfs"}, ErrFixed, ""},
		{"a share", disk.Place{Mount: "/mnt/nas", FSType: "cifs"}, nil, "sync /mnt/nas, unmount /mnt/nas"},
		{"LUKS upon USB", disk.Place{Mount: "/mnt/a", Disks: []disk.Info{usb}, Mounts: []string{"/mnt/a"}, Stacked: true}, nil, "sync /mnt/a, unmount /mnt/a"},
	} {
		var calls []string
		call := func(what string) func(string) error {
			return func(on string) error { calls = append(calls, what+" "+on); return nil }
		}
		d := drives{sync: call("sync"), unmount: call("unmount"), pause: func(time.Duration) {},
			poweroff: func(_ context.Context, i disk.Info) error { return call("off")(i.Path) }}
		_, err := d.detach(t.Context(), &c.place)
		if !errors.Is(err, c.fails) || strings.Join(calls, ", ") != c.calls {
			t.Errorf("%s: %q, %v", c.name, calls, err)
		}
	}
}

// A drive that is busy stays where it is.
func TestDetachBusy(t *testing.T) {
	tries := 0
	d := drives{sync: func(string) error { return nil }, unmount: func(string) error { tries++; return unix.EBUSY }, pause: func(time.Duration) {},
		poweroff: func(context.Context, disk.Info) error { t.Error("powered off"); return nil }}
	_, err := d.detach(t.Context(), &disk.Place{Mount: "/mnt/a", Disks: []disk.Info{{Bus: "usb"}}, Mounts: []string{"/mnt/a"}})
	if !errors.Is(err, unix.EBUSY) || tries != unmountTries {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// A real file system on a real (loop) device.
func TestDetachUnmounts(t *testing.T) {
	img, mnt := volumetest.Make(t, 16<<20, "e2fsprogs", "mke2fs", "-q", "-t", "ext4"), t.TempDir()
	loop := strings.TrimSpace(volumetest.RunTool(t, "mount", "losetup", "--find", "--show", img))
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", loop).Run() })
	volumetest.RunTool(t, "mount", "mount", loop, mnt)
	t.Cleanup(func() { _ = exec.Command("umount", mnt).Run() })
	if err := os.WriteFile(filepath.Join(mnt, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	said, err := Detach(t.Context(), mnt)
	if err != nil || !strings.Contains(said, loop) {
		t.Fatalf("%q, %v", said, err)
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil || strings.Contains(string(mounts), mnt) {
		t.Errorf("%s is still mounted, %v", mnt, err)
	}
	bound := volumetest.RunTool(t, "mount", "losetup", "--list", "--noheadings", "--output", "NAME")
	if slices.Contains(strings.Fields(bound), loop) {
		t.Errorf("%s is still bound: %s", loop, bound)
	}
	volumetest.RunTool(t, "e2fsprogs", "e2fsck", "-fn", img)
	if b := volumetest.RunTool(t, "e2fsprogs", "debugfs", "-R", "cat /file", img); !strings.Contains(b, "content") {
		t.Errorf("what was written is not there: %q", b)
	}
	if _, err := Detach(t.Context(), "/"); err == nil {
		t.Error("the system was detached")
	}
}
