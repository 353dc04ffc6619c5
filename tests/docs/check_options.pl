#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# check_options.pl <docs/options.md> <environment.cpp>
# Checks that the page's first table and the code know the same options of the transport.
# Exit status: 0 if so, 1 if not, 2 for a wrong call.
use strict;
use warnings;

my ($page, $source) = @ARGV;
die "usage: $0 <docs/options.md> <environment.cpp>\n" unless $source;

sub slurp {
    open(my $file, '<', $_[0]) or die "$_[0]: $!\n";
    local $/;
    return scalar <$file>;
}

my ($table) = slurp($page) =~ /^\| `MC_NVMEOF_GENERIC_\.\.\.` .*?\n(.*?)^$/ms or die "$page has no table of them\n";
my %told = map { $_ => 1 } $table =~ /^\| `([A-Z_]+)` \|/mg;
my %known = map { $_ => 1 } slurp($source) =~ /\{"([A-Z_]{4,})",/g;
my @wrong = ((map { "$page does not tell of $_" } grep { !$told{$_} } sort keys %known),
             (map { "the code knows no $_" } grep { !$known{$_} } sort keys %told));
print "$_\n" for @wrong;
print scalar(keys %known) . " options, " . @wrong . " errors\n";
exit(@wrong == 0 && %known ? 0 : 1);
