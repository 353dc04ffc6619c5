#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# check_messages.pl <page> <folder of sources>...
# Checks that each message in a page still exists in the code. A message is a heading of the form
#   ### `text with <what differs>`
# Every piece of it between the <...> has to stand in a string of the sources, one of 12 characters or more among them.
# Exit status: 0 if all do, 1 if not, 2 for a wrong call.
use strict;
use warnings;
use File::Find;

my ($page, @folders) = @ARGV;
die "usage: $0 <page> <folder of sources>...\n" unless @folders;

my $code = '';
find({no_chdir => 1, wanted => sub {
    return unless /\.(cpp|h|sh)$/ && -f;
    open(my $file, '<', $_) or die "$_: $!\n";
    local $/;
    $code .= <$file>;
}}, @folders);
# One string may be written as several, on several lines.
$code =~ s/"\s*\n\s*"//g;
$code =~ s/\\"/"/g;

open(my $file, '<', $page) or die "$page: $!\n";
my ($messages, $wrong) = (0, 0);
while (my $line = <$file>) {
    next unless $line =~ /^### /;
    unless ($line =~ /^### `(.+)`\s*$/) {
        print "$page:$.: a heading that is no message in backticks: $line";
        ++$wrong;
        next;
    }
    ++$messages;
    my @pieces = grep { length } split(/<[^<>]*>/, $1);
    unless (grep { length >= 12 } @pieces) {
        print "$page:$.: too little of the message is fixed to find it: $1\n";
        ++$wrong;
    }
    for my $piece (@pieces) {
        next if index($code, $piece) >= 0;
        print "$page:$.: no message in the sources has '$piece'\n";
        ++$wrong;
    }
}
print "$messages messages, $wrong errors\n";
if ($messages == 0) {
    print "$page holds no message\n";
    exit 1;
}
exit($wrong == 0 ? 0 : 1);
