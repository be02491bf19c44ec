package ingest

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// stampByCard has the packets of the socket carry the time of the network card
// (Documentation/networking/timestamping.rst). A card that stamps all packets
// already is left as it is, which takes no privileges.
func (s *socket) stampByCard() error {
	want := unix.HwTstampConfig{Rx_filter: unix.HWTSTAMP_FILTER_ALL}
	if now, err := unix.IoctlGetHwTstamp(s.fd, s.device.name); err == nil {
		want.Tx_type = now.Tx_type // somebody may need it
		if now.Rx_filter == unix.HWTSTAMP_FILTER_ALL {
			return s.takeCardTime()
		}
	}
	err := unix.IoctlSetHwTstamp(s.fd, s.device.name, &want)
	switch {
	case err == nil && want.Rx_filter != unix.HWTSTAMP_FILTER_ALL: // what the driver has made of it
		return fmt.Errorf("time stamps of the card (capture.timestamps): it stamps some packets only (filter %d)", want.Rx_filter)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("time stamps of the card (capture.timestamps): %w: to switch them on needs CAP_NET_ADMIN; or switch them on beforehand: hwstamp_ctl -i %s -r 1", err, s.device.name)
	case errors.Is(err, unix.ERANGE):
		return fmt.Errorf("time stamps of the card (capture.timestamps): %w: it cannot stamp all packets", err)
	case err != nil:
		return fmt.Errorf("time stamps of the card (capture.timestamps): %w: it has none", err)
	}
	return s.takeCardTime()
}

func (s *socket) takeCardTime() error {
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_TIMESTAMP, unix.SOF_TIMESTAMPING_RAW_HARDWARE); err != nil {
		return fmt.Errorf("time stamps of the card: %w", err)
	}
	return nil
}
