# LemonLDAP::NG's portal as an OpenID provider, for tests: it says "listening" on
# standard output when it is, and ends when standard input does.
use strict;
use warnings;
use Plack::Loader;
use Lemonldap::NG::Portal::Main;

$| = 1;
my $portal = $$;
unless (fork) {
    1 while <STDIN>;
    kill TERM => $portal;
    exit;
}
close STDIN;
my $app = Lemonldap::NG::Portal::Main->run({});
Plack::Loader->load('Standalone', host => '127.0.0.1', port => $ENV{PORT}, server_ready => sub { print "listening\n" })->run($app);
