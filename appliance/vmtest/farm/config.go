package farm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// cgit is the program of the Debian package cgit.
const cgit = "/usr/lib/cgit/cgit.cgi"

// modules is where Debian keeps Apache's modules.
const modules = "/usr/lib/apache2/modules"

// echo is a CGI program (RFC 3875) that tells what has arrived. It reads all of
// the body before it writes, as CGI wants it: Apache reads no answer before it
// has passed on the request.
const echo = `#!/bin/sh
sum=$(sha256sum)
printf 'Content-Type: text/plain; charset=utf-8\r\n\r\n'
printf 'method=%s\n' "$REQUEST_METHOD"
printf 'query=%s\n' "$QUERY_STRING"
printf 'uri=%s\n' "$REQUEST_URI"
printf 'length=%s\n' "$CONTENT_LENGTH"
printf 'type=%s\n' "$CONTENT_TYPE"
printf 'for=%s\n' "$HTTP_X_FORWARDED_FOR"
printf 'via=%s\n' "$HTTP_VIA"
printf 'sum=%s\n' "$sum"
`

// configure writes the configuration files of Apache and cgit.
func (f *Farm) configure(ctx context.Context, documents string) error {
	out, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return fmt.Errorf("git --exec-path: %w", err)
	}
	gitBackend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	user := ""
	if os.Getuid() == 0 {
		user = "User www-data\nGroup www-data\n" // Apache serves nothing as root
	}
	httpd := fmt.Sprintf(`ServerRoot %[1]q
DefaultRuntimeDir %[1]q
PidFile %[1]s/httpd.pid
ErrorLog %[1]s/error.log
Listen 127.0.0.1:%[2]d
ServerName farm.test
%[3]sLoadModule mpm_event_module %[4]s/mod_mpm_event.so
LoadModule authz_core_module %[4]s/mod_authz_core.so
LoadModule alias_module %[4]s/mod_alias.so
LoadModule env_module %[4]s/mod_env.so
LoadModule mime_module %[4]s/mod_mime.so
LoadModule cgid_module %[4]s/mod_cgid.so
ScriptSock %[1]s/cgid.sock
TypesConfig /dev/null
AddType text/html .html
DocumentRoot %[5]q
ScriptAlias /cgi-bin/ %[1]s/cgi/
ScriptAlias /cgit %[6]s
Alias /cgit-css/ /usr/share/cgit/
ScriptAlias /git/ %[7]s/
SetEnv CGIT_CONFIG %[1]s/cgitrc
SetEnv GIT_PROJECT_ROOT %[1]s/repos
SetEnv GIT_HTTP_EXPORT_ALL 1
SetEnv GIT_CONFIG_COUNT 1
SetEnv GIT_CONFIG_KEY_0 safe.directory
SetEnv GIT_CONFIG_VALUE_0 *
<Directory />
  Require all granted
</Directory>
`, f.Dir, f.Port, user, modules, documents, cgit, gitBackend)
	if err := os.WriteFile(filepath.Join(f.Dir, "httpd.conf"), []byte(httpd), 0o644); err != nil {
		return err
	}
	cgitrc := fmt.Sprintf("virtual-root=/cgit/\ncss=/cgit-css/cgit.css\nlogo=/cgit-css/cgit.png\nenable-index-owner=0\n"+
		"cache-size=0\nsnapshots=tar.gz\nrepo.url=story\nrepo.path=%s\nrepo.desc=A repository for a story\n", f.Repository)
	return os.WriteFile(filepath.Join(f.Dir, "cgitrc"), []byte(cgitrc), 0o644)
}

// makeRepository makes a bare repository with some history, and a file large
// enough that a clone is many kilobytes of pack.
func makeRepository(ctx context.Context, bare string) error {
	work := bare + ".work"
	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "git", append([]string{
			"-c", "user.name=A Story", "-c", "user.email=story@example.org", "-c", "init.defaultBranch=main"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := run("init", "-q", work); err != nil {
		return err
	}
	for i := range 12 {
		// Text that compresses badly: a linear congruential generator, in hex.
		var text strings.Builder
		for n, x := 0, uint64(i+1); n < 20000; n++ {
			x = x*6364136223846793005 + 1442695040888963407
			fmt.Fprintf(&text, "%016x\n", x)
		}
		name := filepath.Join(work, fmt.Sprintf("chapter-%02d.txt", i))
		if err := os.WriteFile(name, []byte(text.String()), 0o644); err != nil {
			return err
		}
		if err := run("-C", work, "add", "."); err != nil {
			return err
		}
		if err := run("-C", work, "commit", "-q", "-m", fmt.Sprintf("Chapter %d of the story", i)); err != nil {
			return err
		}
	}
	if err := run("clone", "-q", "--bare", work, bare); err != nil {
		return err
	}
	return os.RemoveAll(work)
}
