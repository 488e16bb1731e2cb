// The tests call the host, so that they run in hostel: dist/test-packages.

package hostel

import (
	"errors"
	"testing"
)

func TestConfig(t *testing.T) {
	if value, set := Config("greeting"); !set || value != "Salut" {
		t.Errorf("expected Salut, found %q, %v", value, set)
	}
	if value, set := Config("other"); set {
		t.Errorf("expected no setting, found %q", value)
	}
}

func TestAnswer(t *testing.T) {
	answer := Answer(nil, errors.New("no"))
	if uint32(answer) != 1<<31|2 || answer>>32 == 0 {
		t.Errorf("expected an error of 2 bytes at an address, found %x", answer)
	}
	Log("logged")
}
