package content

import (
	"mime"
	"path"
	"strings"
)

// mediaTypes is the built-in table from extension to media type. It is our own
// so that the same tree is served alike on every machine: the mime package
// reads whatever tables the system happens to have.
var mediaTypes = map[string]string{
	".7z": "application/x-7z-compressed", ".aac": "audio/aac", ".apk": "application/vnd.android.package-archive",
	".apng": "image/apng", ".atom": "application/atom+xml", ".avi": "video/x-msvideo", ".avif": "image/avif",
	".bin": "application/octet-stream", ".bmp": "image/bmp", ".bz2": "application/x-bzip2",
	".c": "text/plain", ".cc": "text/plain", ".conf": "text/plain", ".cpp": "text/plain", ".css": "text/css", ".csv": "text/csv",
	".deb": "application/vnd.debian.binary-package", ".diff": "text/plain", ".dmg": "application/x-apple-diskimage",
	".doc":  "application/msword",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".dtd":  "application/xml-dtd", ".eot": "application/vnd.ms-fontobject", ".eps": "application/postscript",
	".epub": "application/epub+zip", ".exe": "application/octet-stream", ".flac": "audio/flac", ".geojson": "application/geo+json",
	".gif": "image/gif", ".go": "text/plain", ".gz": "application/gzip", ".h": "text/plain", ".heic": "image/heic",
	".htm": "text/html", ".html": "text/html", ".ico": "image/x-icon", ".ics": "text/calendar",
	".img": "application/octet-stream", ".ini": "text/plain", ".iso": "application/octet-stream", ".jar": "application/java-archive",
	".java": "text/plain", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript", ".json": "application/json",
	".jsonld": "application/ld+json", ".jxl": "image/jxl", ".log": "text/plain", ".m3u8": "application/vnd.apple.mpegurl",
	".m4a": "audio/mp4", ".m4v": "video/mp4", ".map": "application/json", ".md": "text/markdown", ".mid": "audio/midi",
	".mjs": "text/javascript", ".mkv": "video/x-matroska", ".mov": "video/quicktime", ".mp3": "audio/mpeg", ".mp4": "video/mp4",
	".mpd": "application/dash+xml", ".mpeg": "video/mpeg", ".mpg": "video/mpeg", ".msi": "application/octet-stream",
	".odp": "application/vnd.oasis.opendocument.presentation", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
	".odt": "application/vnd.oasis.opendocument.text", ".oga": "audio/ogg", ".ogg": "audio/ogg", ".ogv": "video/ogg",
	".opus": "audio/ogg", ".otf": "font/otf", ".patch": "text/plain", ".pdf": "application/pdf", ".pem": "application/x-pem-file",
	".png": "image/png", ".pps": "application/vnd.ms-powerpoint", ".ppt": "application/vnd.ms-powerpoint",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation", ".ps": "application/postscript",
	".py": "text/plain", ".rar": "application/vnd.rar", ".rpm": "application/x-rpm", ".rs": "text/plain", ".rss": "application/rss+xml",
	".rst": "text/plain", ".rtf": "application/rtf", ".sh": "text/plain", ".sig": "application/pgp-signature",
	".sql": "text/plain", ".svg": "image/svg+xml", ".tar": "application/x-tar", ".tex": "text/plain",
	".text": "text/plain", ".tgz": "application/gzip", ".tif": "image/tiff", ".tiff": "image/tiff", ".toml": "application/toml",
	".torrent": "application/x-bittorrent", ".ts": "video/mp2t", ".tsv": "text/tab-separated-values", ".ttf": "font/ttf",
	".txt": "text/plain", ".vcf": "text/vcard", ".vtt": "text/vtt", ".wasm": "application/wasm", ".wav": "audio/wav",
	".weba": "audio/webm", ".webm": "video/webm", ".webmanifest": "application/manifest+json", ".webp": "image/webp",
	".woff": "font/woff", ".woff2": "font/woff2", ".xhtml": "application/xhtml+xml", ".xls": "application/vnd.ms-excel",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xml": "application/xml",
	".xsd": "application/xml", ".xsl": "application/xml", ".xslt": "application/xslt+xml", ".xz": "application/x-xz",
	".yaml": "application/yaml", ".yml": "application/yaml", ".zip": "application/zip", ".zst": "application/zstd",
}

// typeTable answers rule 7: the media type of a file name, or "" if unknown.
// The strings it returns are shared by all objects.
type typeTable map[string]string

// newTypeTable adds the types of the configuration to the built-in ones, and
// the charset, unless it is empty, to text that does not name one.
func newTypeTable(extra map[string]string, charset string) typeTable {
	t := make(typeTable, len(mediaTypes)+len(extra))
	for _, from := range []map[string]string{mediaTypes, extra} {
		for extension, mediaType := range from {
			t[strings.ToLower(extension)] = withCharset(mediaType, charset)
		}
	}
	return t
}

func (t typeTable) lookup(name string) string {
	return t[strings.ToLower(path.Ext(name))]
}

func withCharset(mediaType, charset string) string {
	base, params, err := mime.ParseMediaType(mediaType)
	if err != nil || charset == "" || params["charset"] != "" || !isText(base) {
		return mediaType
	}
	return mediaType + "; charset=" + charset
}

// isText tells whether a type's bytes are characters whose coding a browser has
// to guess without a charset. JSON, XML and their kin carry or fix their own.
func isText(base string) bool {
	return strings.HasPrefix(base, "text/")
}
