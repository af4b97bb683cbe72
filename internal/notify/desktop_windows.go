package notify

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

var sendMessage = windows.NewLazySystemDLL("wtsapi32.dll").NewProc("WTSSendMessageW")

const (
	messageSeconds  = 60   // until it goes away by itself
	iconWarning     = 0x30 // MB_ICONWARNING
	iconInformation = 0x40 // MB_ICONINFORMATION
)

// show shows a message in each active session (WTSSendMessage), also from a
// service, which has no desktop of its own.
func show(_ context.Context, title, text string, urgent bool) error {
	var list *windows.WTS_SESSION_INFO
	var n uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &list, &n); err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(list)))
	style := uintptr(iconInformation)
	if urgent {
		style = iconWarning
	}
	var errs []error
	for _, s := range unsafe.Slice(list, n) {
		if s.State == windows.WTSActive {
			errs = append(errs, showIn(s.SessionID, title, text, style))
		}
	}
	return errors.Join(errs...)
}

func showIn(session uint32, title, text string, style uintptr) error {
	if text == "" {
		text = title
	}
	t, err := windows.UTF16FromString(title)
	if err != nil {
		return err
	}
	b, err := windows.UTF16FromString(text)
	if err != nil {
		return err
	}
	var answer uint32
	// Lengths are in bytes, without the zero at the end. It does not wait.
	ok, _, err := sendMessage.Call(0, uintptr(session), uintptr(unsafe.Pointer(&t[0])), uintptr(2*(len(t)-1)),
		uintptr(unsafe.Pointer(&b[0])), uintptr(2*(len(b)-1)), style, messageSeconds, uintptr(unsafe.Pointer(&answer)), 0)
	if ok == 0 {
		return fmt.Errorf("show a message in session %d: %w", session, err)
	}
	return nil
}
