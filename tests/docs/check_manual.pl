#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# check_manual.pl <manual page> <program>
# Checks that the options in a manual page and in the program's --help are the same, and that the formatter has nothing to
# say of the page where there is one. Of flags that libraries bring along only --help and --version are told of.
# Exit status: 0 if so, 1 if not, 2 for a wrong call.
use strict;
use warnings;

my ($page, $program) = @ARGV;
die "usage: $0 <manual page> <program>\n" unless $program;

sub slurp {
    my ($file) = @_;
    local $/;
    return scalar <$file>;
}

open(my $file, '<', $page) or die "$page: $!\n";
my $text = slurp($file);
$text =~ s/\\-/-/g;
$text =~ s/\\f[A-Z]//g;
# What the page tells of are the tags of its lists; elsewhere it may name those of other programs.
my %told = map { $_ => 1 } $text =~ /^\.TP\n\.[A-Z]+ --([a-z][a-z_-]*)/mg;

open(my $help, '-|', $program, '--help') or die "$program: $!\n";
my $usage = slurp($help);
close($help);
my %has;
if ($usage =~ /^  Flags from /m) {
    for my $part (split(/^  Flags from /m, $usage)) {
        next unless $part =~ /^\S*examples\//;
        $has{$_} = 1 for $part =~ /^    -([a-z][a-z_]*) \(/mg;
    }
    $has{help} = $has{version} = 1;
} else {
    %has = map { $_ => 1 } $usage =~ /--([a-z][a-z_-]*)/g;
}

my $wrong = 0;
for my $name (sort keys %has) {
    next if $told{$name};
    print "$page does not tell of --$name\n";
    ++$wrong;
}
for my $name (sort keys %told) {
    next if $has{$name};
    print "$program has no --$name, of which $page tells\n";
    ++$wrong;
}
unless (%has) {
    print "$program --help names no option\n";
    ++$wrong;
}
if (grep { -x "$_/groff" } split(/:/, $ENV{PATH})) {
    my $said = qx(groff -man -Tutf8 -ww -z '$page' 2>&1);
    if ($said ne '') {
        print $said;
        ++$wrong;
    }
}
print scalar(keys %has) . " options, $wrong errors\n";
exit($wrong == 0 ? 0 : 1);
