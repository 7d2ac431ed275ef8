package ssotest

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/porttest"
)

// SimpleSAMLphp is a real foreign identity provider: Debian's package of that
// name, run by PHP's own web server on loopback out of a temporary folder. It
// shares no code with us, reads our metadata with its own parser and checks the
// signature on our requests.
type SimpleSAMLphp struct {
	URL         string
	EntityID    string
	MetadataURL string

	dir     string
	service string // package's folder of web pages

	mu sync.Mutex // guards the list of service providers in dir
}

// PHPUser is a person that SimpleSAMLphp signs in with name and password.
type PHPUser struct {
	Password   string
	Attributes map[string][]string // "uid" becomes the persistent NameID
}

// packageFolders are where distributions put SimpleSAMLphp.
var packageFolders = []string{"/usr/share/simplesamlphp", "/var/simplesamlphp"}

// startTimeout is long because the first page compiles all of SimpleSAMLphp.
const startTimeout = 2 * time.Minute

// StartSimpleSAMLphp starts it with these people and stops it when the test
// ends. It fails the test when PHP or the package is missing.
func StartSimpleSAMLphp(tb testing.TB, users map[string]PHPUser) *SimpleSAMLphp {
	tb.Helper()
	php, err := exec.LookPath("php")
	if err != nil {
		tb.Fatalf("php is missing: apt-get install php-cli php-xml php-mbstring php-sqlite3 php-curl simplesamlphp (%v)", err)
	}
	s := &SimpleSAMLphp{}
	for _, folder := range packageFolders {
		for _, pages := range []string{"www", "public"} {
			if _, err := os.Stat(filepath.Join(folder, pages, "saml2", "idp", "metadata.php")); err == nil {
				s.service = filepath.Join(folder, pages)
			}
		}
	}
	if s.service == "" {
		tb.Fatalf("SimpleSAMLphp is not in %s: apt-get install simplesamlphp", strings.Join(packageFolders, " or "))
	}
	if s.dir, err = os.MkdirTemp("", "simplesamlphp"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(s.dir) })
	s.configure(tb, porttest.Held(tb), users)
	if err := s.start(tb, php); err != nil {
		tb.Fatal(err)
	}
	return s
}

// Trust makes the provider know a service provider by its metadata. options are
// SimpleSAMLphp's own, as PHP expressions, and win over the metadata.
func (s *SimpleSAMLphp) Trust(tb testing.TB, metadata []byte, options map[string]string) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	name := "sp-" + randomHex(4)
	s.write(tb, name+".xml", string(metadata))
	var set strings.Builder
	for _, key := range slices.Sorted(maps.Keys(options)) {
		fmt.Fprintf(&set, "$sp[%s] = %s;\n", quotePHP(key), options[key])
	}
	s.append(tb, "metadata/saml20-sp-remote.php", fmt.Sprintf(`
$sp = \SimpleSAML\Metadata\SAMLParser::parseFile(%s)->getMetadata20SP();
%s$metadata[$sp['entityid']] = $sp;
`, quotePHP(filepath.Join(s.dir, name+".xml")), set.String()))
}

func (s *SimpleSAMLphp) configure(tb testing.TB, port int, users map[string]PHPUser) {
	s.URL = fmt.Sprintf("http://127.0.0.1:%d/", port)
	s.EntityID = s.URL + "saml2/idp/metadata.php"
	s.MetadataURL = s.EntityID
	for _, sub := range []string{"config", "metadata", "cert", "log", "data", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	key, err := x509.MarshalPKCS8PrivateKey(idpSigner().Key)
	if err != nil {
		tb.Fatal(err)
	}
	s.write(tb, "cert/idp.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	s.write(tb, "cert/idp.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idpSigner().Cert.Raw})))
	s.write(tb, "config/config.php", strings.NewReplacer("DIR", s.dir, "URL", s.URL).Replace(phpConfig))
	s.write(tb, "metadata/saml20-idp-hosted.php", phpHosted)
	s.write(tb, "metadata/saml20-sp-remote.php", "<?php\n")

	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(users)) {
		fmt.Fprintf(&list, "%s => [\n", quotePHP(name+":"+users[name].Password))
		for _, at := range slices.Sorted(maps.Keys(users[name].Attributes)) {
			fmt.Fprintf(&list, "%s => [", quotePHP(at))
			for _, v := range users[name].Attributes[at] {
				list.WriteString(quotePHP(v) + ", ")
			}
			list.WriteString("],\n")
		}
		list.WriteString("],\n")
	}
	s.write(tb, "config/authsources.php", "<?php\n$config = ['people' => ['exampleauth:UserPass',\n"+list.String()+"]];\n")
}

// phpConfig is what Debian's own config.php would be for a provider on loopback,
// without the secrets that only root can read there.
const phpConfig = `<?php
$config = [
  'baseurlpath' => 'URL',
  'certdir' => 'DIR/cert/', 'loggingdir' => 'DIR/log/', 'datadir' => 'DIR/data/', 'tempdir' => 'DIR/tmp', 'metadatadir' => 'DIR/metadata/',
  'secretsalt' => 'only for tests', 'auth.adminpassword' => bin2hex(random_bytes(16)),
  'technicalcontact_name' => 'Test', 'technicalcontact_email' => 'test@example.com', 'timezone' => 'UTC',
  'logging.level' => SimpleSAML\Logger::DEBUG, 'logging.handler' => 'file', 'logging.logfile' => 'simplesamlphp.log',
  'showerrors' => true, 'errorreporting' => false,
  'enable.saml20-idp' => true, 'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
  'session.cookie.secure' => false, 'session.cookie.samesite' => null, 'language.cookie.secure' => false, 'language.cookie.samesite' => null,
  'store.type' => 'phpsession', 'session.phpsession.savepath' => 'DIR/tmp',
  'metadata.sources' => [['type' => 'flatfile']],
  'language.available' => ['en'], 'language.default' => 'en', 'theme.use' => 'default',
];
`

const phpHosted = `<?php
$metadata['__DYNAMIC:1__'] = [
  'host' => '__DEFAULT__', 'privatekey' => 'idp.pem', 'certificate' => 'idp.crt', 'auth' => 'people',
  'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
  'authproc' => [10 => ['class' => 'saml:AttributeNameID', 'attribute' => 'uid', 'Format' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent']],
];
`

// start runs the server and waits until its metadata can be read.
func (s *SimpleSAMLphp) start(tb testing.TB, php string) error {
	tb.Helper()
	var output bytes.Buffer
	address := strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/")
	cmd := exec.Command(php, "-d", "opcache.enable=0", "-d", "session.save_path="+s.dir+"/tmp", "-d", "sys_temp_dir="+s.dir+"/tmp", "-S", address, "-t", s.service)
	cmd.Env = append(os.Environ(), "SIMPLESAMLPHP_CONFIG_DIR="+s.dir+"/config")
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = &output, &output
	// A group of its own, so that whatever it starts can be ended with it; and it
	// ends with us, should the test be killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig follows the thread that started the child
		started <- cmd.Start()
		cmd.Wait()
		close(ended)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start php: %w", err)
	}
	stop := func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	var last error
	for {
		if last = ready(ctx, s.MetadataURL); last == nil {
			tb.Cleanup(func() {
				stop()
				if tb.Failed() {
					tb.Logf("SimpleSAMLphp's log:\n%s", s.log())
				}
			})
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("php ended before it answered: %s", output.String())
		case <-ctx.Done():
			stop()
			return fmt.Errorf("SimpleSAMLphp did not answer within %s: %w\n%s\n%s", startTimeout, last, output.String(), s.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ready(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return nil
}

// log is the last part of the provider's own log.
func (s *SimpleSAMLphp) log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log", "simplesamlphp.log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-8000):])
}

// write puts a file in place whole: PHP may be reading the old one.
func (s *SimpleSAMLphp) write(tb testing.TB, name, text string) {
	tb.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		tb.Fatal(err)
	}
}

func (s *SimpleSAMLphp) append(tb testing.TB, name, text string) {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	s.write(tb, name, string(b)+text)
}

// quotePHP writes a PHP string.
func quotePHP(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
