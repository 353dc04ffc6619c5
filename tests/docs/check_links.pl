#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# check_links.pl <page>...
# Checks that what the pages link to within the tree is there: the file, and the heading in it.
# Exit status: 0 if so, 1 if not, 2 for a wrong call.
use strict;
use warnings;
use File::Basename;

die "usage: $0 <page>...\n" unless @ARGV;

# A page without what stands in fences.
sub text_of {
    my ($page) = @_;
    open(my $file, '<', $page) or die "$page: $!\n";
    local $/;
    my $text = <$file>;
    $text =~ s/^```.*?^```$//msg;
    return $text;
}

# As the hosting sites make them of headings.
sub anchors_of {
    my %anchors;
    for my $heading (text_of($_[0]) =~ /^#+ (.*)$/mg) {
        $heading =~ s/[^\w\- ]//g;
        $heading =~ tr/ /-/;
        $anchors{lc $heading} = 1;
    }
    return \%anchors;
}

my ($links, $wrong) = (0, 0);
for my $page (@ARGV) {
    for my $link (text_of($page) =~ /\]\(([^)\s]+)\)/g) {
        next if $link =~ /^https?:/;
        ++$links;
        my ($name, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
        my $target = $name eq '' ? $page : dirname($page) . "/$name";
        next if -e $target && (!defined $anchor || anchors_of($target)->{$anchor});
        print "$page: nothing is there for $link\n";
        ++$wrong;
    }
}
print "$links links, $wrong errors\n";
exit($wrong == 0 && $links > 0 ? 0 : 1);
