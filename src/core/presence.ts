/** Above so many members of a tag only their count is told. */
export const membersListedMax = 200;
