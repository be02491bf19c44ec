package integration

import (
	"strings"
)

// unirecHTTP are the columns of ipfixprobe's records of HTTP.
var unirecHTTP = strings.Fields(`DST_IP SRC_IP BYTES BYTES_REV LINK_BIT_FIELD TIME_FIRST TIME_LAST DST_MAC SRC_MAC
	PACKETS PACKETS_REV DST_PORT HTTP_RESPONSE_STATUS_CODE SRC_PORT DIR_BIT_FIELD PROTOCOL TCP_FLAGS TCP_FLAGS_REV
	HTTP_REQUEST_AGENT HTTP_REQUEST_HOST HTTP_REQUEST_METHOD HTTP_REQUEST_REFERER HTTP_REQUEST_URL
	HTTP_RESPONSE_CONTENT_TYPE HTTP_RESPONSE_SERVER HTTP_RESPONSE_SET_COOKIE_NAMES`)

// judgeUnirecHTTP judges a record of a flow with an exchange of HTTP.
func judgeUnirecHTTP(e *evidence, f *fact) verdict {
	row, ok, problem := unirecRow(f, unirecHTTP)
	switch {
	case problem != "":
		return missing("%s", problem)
	case !ok:
		return notYet("unirec: the row of the columns' names")
	}
	var candidates []differences
	for _, x := range e.http {
		v := viewOf(x.flow)
		var d differences
		d.check("SRC_IP", v.src.Addr(), row["SRC_IP"])
		d.check("DST_IP", v.dst.Addr(), row["DST_IP"])
		d.check("SRC_PORT", v.src.Port(), row["SRC_PORT"])
		d.check("DST_PORT", v.dst.Port(), row["DST_PORT"])
		d.check("PROTOCOL", uint8(v.transport), row["PROTOCOL"])
		d.check("BYTES", v.sides[0].IPBytes, row["BYTES"])
		d.check("BYTES_REV", v.sides[1].IPBytes, row["BYTES_REV"])
		d.check("PACKETS", v.sides[0].Packets, row["PACKETS"])
		d.check("PACKETS_REV", v.sides[1].Packets, row["PACKETS_REV"])
		d.check("TCP_FLAGS", v.sides[0].TCPFlags, row["TCP_FLAGS"])
		d.check("TCP_FLAGS_REV", v.sides[1].TCPFlags, row["TCP_FLAGS_REV"])
		d.check("TIME_FIRST", unirecTime(v.first), row["TIME_FIRST"])
		d.check("TIME_LAST", unirecTime(v.last), row["TIME_LAST"])
		q, r := x.req(), x.resp()
		d.check("HTTP_RESPONSE_STATUS_CODE", r.Status, row["HTTP_RESPONSE_STATUS_CODE"])
		d.check("HTTP_REQUEST_AGENT", q.UserAgent, row["HTTP_REQUEST_AGENT"])
		d.check("HTTP_REQUEST_HOST", q.Host, row["HTTP_REQUEST_HOST"])
		d.check("HTTP_REQUEST_METHOD", q.Method, row["HTTP_REQUEST_METHOD"])
		d.check("HTTP_REQUEST_REFERER", q.Referer, row["HTTP_REQUEST_REFERER"])
		d.check("HTTP_REQUEST_URL", q.Target, row["HTTP_REQUEST_URL"])
		d.check("HTTP_RESPONSE_CONTENT_TYPE", r.ContentType, row["HTTP_RESPONSE_CONTENT_TYPE"])
		d.check("HTTP_RESPONSE_SERVER", r.Server, row["HTTP_RESPONSE_SERVER"])
		if len(d) == 0 && e.claim(f, x) {
			return found
		}
		candidates = append(candidates, d)
	}
	return fewest(candidates, "no exchange at all")
}
