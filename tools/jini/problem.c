/* A problem as a line: an object, or words. */
#include "problem.h"

#include "layout.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>

void problem_print(void *context, const struct jini_verify_problem *problem)
{
    (void)context;
    if (output_is_json()) {
        output_json(json_pack(
            "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "type", "problem", "kind", problem->kind,
            "field", problem->field, "user_id", layout_number(problem->user_id), "job_id",
            layout_id(&problem->job_id), "image_id", layout_id(&problem->image_id), "pack_id",
            layout_id(&problem->pack_id), "message", layout_text(problem->message)));
    } else {
        static const struct jini_id none;
        char user[32] = "";
        char job[JINI_ID_TEXT_MAX] = "";
        char image[JINI_ID_TEXT_MAX] = "";
        char pack[JINI_ID_TEXT_MAX] = "";
        if (problem->user_id)
            snprintf(user, sizeof(user), ", user %" PRIu64, problem->user_id);
        if (jini_id_compare(&problem->job_id, &none) != 0)
            jini_id_format(&problem->job_id, job);
        if (jini_id_compare(&problem->image_id, &none) != 0)
            jini_id_format(&problem->image_id, image);
        if (jini_id_compare(&problem->pack_id, &none) != 0)
            jini_id_format(&problem->pack_id, pack);
        output_line("problem: %s%s%s%s%s%s%s%s: %s", problem->kind, user,
                    job[0] != '\0' ? ", job " : "", job, image[0] != '\0' ? ", image " : "", image,
                    pack[0] != '\0' ? ", pack " : "", pack, problem->message);
    }
    output_flush();
}
