package bundle

import "strings"

// age writes keys in Bech32 (BIP 173) and takes them in no other form.

const bech32Letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// bech32 writes bytes under a human-readable part in lower case, without the length limit of BIP 173.
func bech32(hrp string, data []byte) string {
	five := regroup(data)
	check := make([]byte, 0, 2*len(hrp)+1+len(five)+6)
	for _, c := range []byte(hrp) {
		check = append(check, c>>5)
	}
	check = append(check, 0)
	for _, c := range []byte(hrp) {
		check = append(check, c&31)
	}
	check = append(append(check, five...), 0, 0, 0, 0, 0, 0)
	sum := polymod(check) ^ 1
	var out strings.Builder
	out.WriteString(hrp + "1")
	for _, v := range five {
		out.WriteByte(bech32Letters[v])
	}
	for i := range 6 {
		out.WriteByte(bech32Letters[sum>>(5*(5-i))&31])
	}
	return out.String()
}

func upper(s string) string { return strings.ToUpper(s) }

// regroup turns groups of 8 bits into groups of 5, the last one filled up with zeros.
func regroup(data []byte) (out []byte) {
	acc, bits := uint32(0), 0
	for _, b := range data {
		acc, bits = acc<<8|uint32(b), bits+8
		for bits >= 5 {
			bits -= 5
			out = append(out, byte(acc>>bits)&31)
		}
	}
	if bits > 0 {
		out = append(out, byte(acc<<(5-bits))&31)
	}
	return out
}

func polymod(values []byte) uint32 {
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}
