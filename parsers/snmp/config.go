package snmp

// Config holds the options of the SNMP factory.
type Config struct {
	// Communities says whether community strings are published; otherwise they
	// are replaced by "[redacted]". Default: false.
	Communities bool `yaml:"communities" comment:"Publish community strings, which are passwords; otherwise they are replaced by [redacted]."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{} }
