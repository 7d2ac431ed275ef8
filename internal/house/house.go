// Package house has no code, only tests of the rules that hold the repository
// together: who may import whom, which outside module stays where, who owns
// which table, and that no statement on a tenant's table forgets its tenant.
// They read the source; they run nothing.
package house
