package desttest

import (
	"testing"

	"ingot/internal/dest"
)

func TestMemory(t *testing.T) {
	m := NewMemory()
	Run(t, func(*testing.T) dest.Store { return m })
	RunKeeper(t, func(*testing.T) dest.Store { return m })
}
