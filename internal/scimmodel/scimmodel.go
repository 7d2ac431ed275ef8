/*
Package scimmodel is a SCIM 2.0 service provider in memory, written from the texts
of RFC 7643 and RFC 7644 alone and as plainly as they can be written: no index, no
plan, no stored bytes. Tests put the same requests to a server and to a Model,
which says where the server's answer, or what a read shows afterwards, is not what
the standard asks for.

	steps := scimmodel.NewSource(seed, strict).Steps(200)   gen.go, genvalue.go
	err := scimmodel.Run(steps, client)                     run.go: request, answer, Model.Check, full read, Model.Agree
	steps = scimmodel.Shrink(steps, ...)                    shrink.go: the shortest sequence that still fails

	Model.Check -> route                                    model.go, resource.go
	            -> reader: wire value -> canonical value    schema.go, value.go
	            -> patch, in the order of the operations    patch.go
	            -> list: filter, sort, page, projection     list.go, filter.go, project.go
	            -> bulk: single requests in order           bulk.go

Where the standard leaves a choice to the service provider, or where it is silent,
the comment says "choice" and what Muster announces or documents. Strict is the
mode of that name: the SCIM interoperability profile.

A Model never invents ids, times or versions. It takes them from the answers, and
then holds the server to them: a version and lastModified change exactly when the
resource does.

It imports nothing of ours, and only tests import it.
*/
package scimmodel
